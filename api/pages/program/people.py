"""Everybody in the program: role, section, hours left, what they run."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse

from api.pages.program.desk import OrganizerDep, people_of
from api.pages.rooms import RoomDep
from quota.errors import NoSuchThing
from quota.lab import Lab
from quota.standings import LabStanding, Standing, lab_standing

router = APIRouter(prefix="/program/people")

_STATES = {"waiting": "waiting", "held": "starting", "active": "running", "stopping": "ending"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonLine:
    """One person in the table; who is no scholar has no hours."""

    name: str
    role: str
    section: str
    standing: Standing | None
    states: tuple[str, ...]


@router.get("")
def get_people(
    request: Request, organizer: OrganizerDep, room: RoomDep,
    section: Annotated[str, Query(max_length=64)] = "",
) -> HTMLResponse:  # fmt: skip
    """List everybody, or one section."""
    lab = room.books.lab
    if section and section not in lab.sections:
        raise NoSuchThing("There is no such section.")
    standing = lab_standing(room.books, section=section or None)
    return room.looks.page(
        request, "program_people.html", organizer, lines=_lines(lab, standing, section),
        sections=lab.sections, chosen=section,
    )  # fmt: skip


def states_of(standing: Standing) -> tuple[str, ...]:
    """Say what somebody's sessions do, in a word each."""
    return tuple(_STATES[one.lease.state] for one in standing.sessions)


def _lines(lab: Lab, standing: LabStanding, section: str) -> list[PersonLine]:
    known = {one.account: one for one in standing.people}
    others = lab.sections[section].tas if section else people_of(lab)
    return [_line(lab, name, known.get(name)) for name in sorted({*known, *others})]


def _line(lab: Lab, name: str, standing: Standing | None) -> PersonLine:
    # An account of somebody whom no section lists any more keeps what it has.
    role = lab.role_of(name)
    supports = [one.title for one in lab.sections_of_ta(name)]
    section = lab.section_of(name)
    titles = [section.title] if section else supports
    return PersonLine(
        name=name, role=role, section=", ".join(titles), standing=standing,
        states=() if standing is None else states_of(standing),
    )  # fmt: skip
