"""What people typed into forms: read with bounds, kept for them, with what is wrong beside it."""

import hmac
from asyncio import to_thread
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import parse_qsl
from uuid import UUID, uuid4

from fastapi import Depends, Request

from api.pages.rooms import RoomDep
from api.pages.visitor import FIELD, Visitor, VisitorDep, check_intent
from api.problems import Problem
from quota import errors

_MOST_FIELDS = 2_000
_LARGE_BYTES = 65_536
_FORM = "application/x-www-form-urlencoded"


@dataclass(slots=True)
class Typed:
    """The fields of one form and what is wrong with them; "" is the form as a whole."""

    values: dict[str, str] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    # For check boxes and multiple selections: every value of a field, in order.
    lists: dict[str, list[str]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        return self.values.get(name, "")

    def all_of(self, name: str) -> list[str]:
        """Return every value of a field."""
        return self.lists.get(name, [])

    def id(self, name: str = "id") -> UUID:
        """Return the id that the form was made with, so that sending it twice does it once."""
        try:
            return UUID(self[name])
        except ValueError as error:
            raise _not_understood() from error

    def number(self, name: str, *, least: int, most: int) -> int | None:
        """Read a whole number; None, and a fault, where there is none."""
        text = self[name].strip()
        if text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most:
            return int(text)
        self.faults[name] = f"Write a whole number from {least} to {most}."
        return None

    def wants(self, name: str, what: str) -> str:
        """Return a text that has to be there."""
        text = self[name].strip()
        if not text:
            self.faults[name] = f"Write {what}."
        return text

    @contextmanager
    def finding(self, fields: Mapping[type[errors.Refusal], str]) -> Iterator[None]:
        """Turn what the books refuse into a fault of the field that it is about."""
        try:
            yield
        except errors.Refusal as error:
            name = next((fields[kind] for kind in type(error).__mro__ if kind in fields), "")
            self.faults[name] = error.message

    @property
    def is_good(self) -> bool:
        """Tell whether nothing is wrong."""
        return not self.faults


def blank(**values: str) -> Typed:
    """Return a form that nobody has filled in yet; a new id makes sending it twice safe."""
    return Typed(values={"id": str(uuid4()), **values})


async def read_form(request: Request, room: RoomDep) -> Typed:
    """Read a form that came from these pages (a FastAPI dependency).

    Raises:
        Problem: 403 for one that did not, 415 and 422 for what is no form.

    """
    await check_intent(request, room)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise Problem(415, "no_form", "This is no form", "Send it as an HTML form is sent.")
    body = await request.body()
    try:
        # A large one takes a while; the service answers others meanwhile.
        pairs = _pairs(body) if len(body) < _LARGE_BYTES else await to_thread(_pairs, body)
    except ValueError as error:
        raise _not_understood() from error
    typed = Typed(values=dict(pairs))
    for name, value in pairs:
        typed.lists.setdefault(name, []).append(value)
    return typed


def _pairs(body: bytes) -> list[tuple[str, str]]:
    """Read the fields of a form.

    Raises:
        ValueError: it is none.

    """
    pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict",
                      max_num_fields=_MOST_FIELDS)  # fmt: skip
    # A browser sends line ends as CR LF, whatever was typed.
    return [(name, value.replace("\r\n", "\n")) for name, value in pairs]


async def get_sender(typed: Annotated[Typed, Depends(read_form)], visitor: VisitorDep) -> Visitor:
    """Find out who sent a form, and that it is their own (a FastAPI dependency).

    Raises:
        Problem: 403 for a form that was not made for this person.

    """
    require_proof(typed, visitor.proof)
    return visitor


def require_proof(typed: Typed, proof: str) -> None:
    """Refuse a form that does not carry the proof of whoever sends it: it was made for others.

    Raises:
        Problem: 403.

    """
    if not hmac.compare_digest(typed[FIELD].encode(), proof.encode()):
        raise Problem(403, "foreign_form", "This form is not yours",
                      "This form was made for somebody else, or before you signed out. Nothing "
                      "was done. Open the page again and send it from there.")  # fmt: skip


TypedDep = Annotated[Typed, Depends(read_form)]
SenderDep = Annotated[Visitor, Depends(get_sender)]


def _not_understood() -> Problem:
    return Problem(422, "invalid_request", "The form is not understood",
                   "Something in the form cannot be read. Open the page again and send it "
                   "from there.")  # fmt: skip
