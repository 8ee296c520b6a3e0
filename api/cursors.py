"""Where a list goes on: an opaque text that names the last entry of the page before."""

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query

from api.problems import Problem
from quota.clock import from_ms, to_ms

PAGE_MOST = 200

Cursor = Annotated[
    str | None, Query(max_length=600, description="`next` of the page before; else the start.")
]
PageSize = Annotated[
    int, Query(ge=1, le=PAGE_MOST, description="How many entries at most.", alias="page_size")
]


@dataclass(frozen=True)
class Page:
    """Which part of a list is asked for."""

    cursor: Cursor = None
    size: PageSize = 100


PageDep = Annotated[Page, Depends()]


def write_cursor(*place: str | int) -> str:
    """Write a place in a list."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def read_name(cursor: str | None) -> str | None:
    """Read a place in a list that is ordered by name."""
    if cursor is None:
        return None
    (name,) = _read(cursor, 1)
    if not isinstance(name, str):
        raise _bad()
    return name


def read_number(cursor: str | None) -> int:
    """Read a place in a list that is ordered by a number from 1."""
    if cursor is None:
        return 0
    (number,) = _read(cursor, 1)
    if type(number) is not int or not 0 <= number < 2**63:
        raise _bad()
    return number


def read_moment(cursor: str | None) -> tuple[datetime, UUID] | None:
    """Read a place in a list that is ordered by time, then by id."""
    if cursor is None:
        return None
    ms, text = _read(cursor, 2)
    if type(ms) is not int or not isinstance(text, str):
        raise _bad()
    try:
        return from_ms(ms), UUID(text)
    except (ValueError, OverflowError) as error:
        raise _bad() from error


def write_moment(at: datetime, last_id: UUID) -> str:
    """Write a place in a list that is ordered by time, then by id."""
    return write_cursor(to_ms(at), str(last_id))


def _read(cursor: str, length: int) -> list[object]:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        place = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise _bad() from error
    if not isinstance(place, list) or len(place) != length:
        raise _bad()
    return place


def _bad() -> Problem:
    return Problem(422, "invalid_request", "The request is not understood",
                   "The cursor is not one that a page before named as `next`.")  # fmt: skip
