"""A TA's section: who needs somebody, and all scholars in one table that keeps itself fresh."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from api.pages.rooms import Room, RoomDep
from api.pages.visitor import Visitor, VisitorDep
from quota.section_overview import SectionOverview, section_overview

router = APIRouter(prefix="/section/{section}")

# What a session does with its GPU, in words.
STATE_TEXTS = {
    "active": "is in use",
    "training": "computes by itself",
    "holding": "does nothing, but holds memory",
    "empty": "is not used",
    "unknown": "not known",
}
LEASE_TEXTS = {
    "waiting": "waits for a GPU", "held": "starting", "active": "running", "stopping": "stopping",
}  # fmt: skip
MODE_TEXTS = {"observe": "observing", "co_edit": "co-editing"}


@router.get("")
def get_section(
    section: str, request: Request, visitor: VisitorDep, room: RoomDep
) -> HTMLResponse:
    """Show a section to its TAs, and to organizers."""
    view = _view(section, visitor, room)
    return room.looks.page(request, "section.html", visitor, **_shown(view, room))


@router.get("/queue")
def get_queue(section: str, visitor: VisitorDep, room: RoomDep) -> HTMLResponse:
    """Draw the part about who needs somebody anew."""
    view = _view(section, visitor, room)
    return room.looks.part("section_queue.html", visitor, **_shown(view, room))


@router.get("/scholars")
def get_scholars(section: str, visitor: VisitorDep, room: RoomDep) -> HTMLResponse:
    """Draw the table of scholars anew."""
    view = _view(section, visitor, room)
    return room.looks.part("section_scholars.html", visitor, **_shown(view, room))


def _view(section: str, visitor: Visitor, room: Room) -> SectionOverview:
    visitor.access.require_section(section)
    return section_overview(room.books, section, visitor.name)


def _shown(view: SectionOverview, room: Room) -> dict[str, Any]:
    lab = room.books.lab
    return {"view": view, "section": lab.sections[view.section], "state_texts": STATE_TEXTS,
            "lease_texts": LEASE_TEXTS, "flavors": lab.flavors}  # fmt: skip
