"""Who did what: filtered by person and subject, a page at a time, and as a file."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import HTMLResponse, Response, StreamingResponse

from api.bridge_office import audit_out
from api.exports import csv_text
from api.pages.program.desk import OrganizerDep
from api.pages.rooms import RoomDep
from quota.audit import AuditLine
from quota.office import Office

router = APIRouter(prefix="/program")

_PAGE = 50
# A page of the export: each is a read of its own, so that a long trail keeps no writer waiting.
_AT_ONCE = 1_000
_COLUMNS = ("seq", "at", "actor", "action", "subject", "reason", "before", "after", "request_id",
            "hash")  # fmt: skip
_TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}


@dataclass(frozen=True)
class Wanted:
    """Whose lines are wanted; empty stands for all."""

    actor: Annotated[str, Query(max_length=255)] = ""
    subject: Annotated[str, Query(max_length=255)] = ""


WantedDep = Annotated[Wanted, Depends()]


@router.get("/audit")
def get_audit(
    request: Request, organizer: OrganizerDep, room: RoomDep, wanted: WantedDep,
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
) -> HTMLResponse:  # fmt: skip
    """Show the newest lines, or those before one."""
    office = Office(room.books)
    lines = office.trail_before(before, actor=wanted.actor or None,
                                subject=wanted.subject or None, most=_PAGE)  # fmt: skip
    return room.looks.page(
        request, "program_audit.html", organizer, lines=lines, wanted=wanted, before=before,
        head=office.trail_head().text(), more=lines[-1].seq if len(lines) == _PAGE else None,
    )  # fmt: skip


@router.get("/audit.{form}")
def get_export(
    form: Literal["csv", "jsonl"], organizer: OrganizerDep, room: RoomDep, wanted: WantedDep
) -> Response:
    """Send all lines that are wanted, the oldest first."""
    assert organizer.access.is_organizer
    room.books.ping()
    write, head = (_as_csv, csv_text([_COLUMNS])) if form == "csv" else (_as_jsonl, "")
    return StreamingResponse(
        _parts(Office(room.books), wanted, write, head), media_type=_TYPES[form],
        headers={"Content-Disposition": f'attachment; filename="audit.{form}"'},
    )  # fmt: skip


def _parts(
    office: Office, wanted: Wanted, write: Callable[[list[AuditLine]], str], head: str
) -> Iterator[bytes]:
    yield head.encode()
    after = 0
    while lines := office.trail(after=after, actor=wanted.actor or None,
                                subject=wanted.subject or None, most=_AT_ONCE):  # fmt: skip
        yield write(lines).encode()
        after = lines[-1].seq


def _as_csv(lines: list[AuditLine]) -> str:
    return csv_text([_cell(one, name) for name in _COLUMNS] for one in lines)


def _cell(line: AuditLine, name: str) -> object:
    if name == "at":
        return line.at.isoformat()
    return line.hash.hex() if name == "hash" else getattr(line, name)


def _as_jsonl(lines: list[AuditLine]) -> str:
    return "".join(json.dumps(audit_out(one).model_dump(mode="json")) + "\n" for one in lines)
