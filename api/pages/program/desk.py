"""What all organizers' pages share: only organizers come in, and every deed leads back."""

from datetime import date, datetime
from typing import Annotated
from urllib.parse import quote
from zoneinfo import ZoneInfo

from fastapi import Depends
from starlette.responses import Response

from api.pages.forms import SenderDep, Typed
from api.pages.rooms import Room
from api.pages.visitor import Visitor, VisitorDep
from quota.calendar import days_later, midnight
from quota.lab import Lab


async def get_organizer(visitor: VisitorDep) -> Visitor:
    """Let organizers in (a FastAPI dependency).

    Raises:
        Problem: 403 for everybody else.

    """
    visitor.access.require_organizer()
    return visitor


async def get_organizing(sender: SenderDep) -> Visitor:
    """Let organizers send a form (a FastAPI dependency).

    Raises:
        Problem: 403 for everybody else.

    """
    sender.access.require_organizer()
    return sender


OrganizerDep = Annotated[Visitor, Depends(get_organizer)]
OrganizingDep = Annotated[Visitor, Depends(get_organizing)]


def done(room: Room, path: str, word: str) -> Response:
    """Lead to a page, which says what was done."""
    room.standings.forget()
    return room.done(path, word)


def person_page(name: str) -> str:
    """Return the page of one person; a name may hold what means something in an address."""
    return f"program/people/{quote(name, safe='')}"


def last_day(typed: Typed, name: str, zone: ZoneInfo) -> datetime | None:
    """Read an optional last day, as the instant at which it is over on the clocks of a zone."""
    text = typed[name].strip()
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
        return midnight(days_later(day, 1), zone)
    except (ValueError, OverflowError):
        typed.faults[name] = "Write a day like 2027-01-31, or nothing."
        return None


def zone_of(lab: Lab, name: str) -> ZoneInfo:
    """Return the zone in which somebody's days are counted."""
    section = lab.section_of(name)
    return ZoneInfo("UTC") if section is None else section.zone


def people_of(lab: Lab) -> list[str]:
    """Name everybody whom the rules name."""
    tas = {ta for section in lab.sections.values() for ta in section.tas}
    return sorted({*lab.roster, *tas, *lab.organizers})
