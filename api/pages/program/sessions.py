"""All sessions that are open, and how an organizer ends one."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, Response

from api.pages.forms import Typed, TypedDep, blank
from api.pages.program.desk import OrganizerDep, OrganizingDep, done
from api.pages.rooms import Room, RoomDep
from api.pages.visitor import Visitor
from quota.errors import BadText
from quota.office import Office
from quota.standings import OpenSession, Standing, lab_standing

router = APIRouter(prefix="/program/sessions")


@router.get("")
def get_sessions(request: Request, organizer: OrganizerDep, room: RoomDep) -> HTMLResponse:
    """List everything that runs, starts, waits or ends."""
    return room.looks.page(request, "program_sessions.html", organizer, lines=_lines(room))


@router.get("/live")
def get_live(organizer: OrganizerDep, room: RoomDep) -> HTMLResponse:
    """Show the table, which refreshes by itself."""
    return room.looks.part("program_sessions_live.html", organizer, lines=_lines(room))


@router.get("/{lease_id}")
def get_session(
    lease_id: UUID, request: Request, organizer: OrganizerDep, room: RoomDep,
    back: Annotated[str, Query(max_length=10)] = "",
) -> HTMLResponse:  # fmt: skip
    """Ask for the reason before a session is ended."""
    return _asking(request, organizer, room, lease_id, blank(back=back))


@router.post("/{lease_id}/stop")
def post_stop(
    lease_id: UUID, request: Request, organizer: OrganizingDep, typed: TypedDep, room: RoomDep
) -> Response:
    """End a session; the scholar is told why."""
    name = room.books.lease(lease_id).account
    reason = typed.wants("reason", "why; the scholar will see it")
    with typed.finding({BadText: "reason"}):
        if typed.is_good:
            Office(room.books).stop(lease_id, by=organizer.access.by, reason=reason)
    if not typed.is_good:
        return _asking(request, organizer, room, lease_id, typed)
    path = f"program/people/{name}" if typed["back"] == "person" else "program/sessions"
    return done(room, path, f"The session of {name} is being stopped.")


def _asking(
    request: Request, organizer: Visitor, room: Room, lease_id: UUID, typed: Typed
) -> HTMLResponse:
    return room.looks.page(
        request, "program_stop.html", organizer, view=room.books.lease(lease_id), typed=typed,
        status=room.looks.typed_status(typed),
    )  # fmt: skip


def _lines(room: Room) -> list[tuple[Standing, OpenSession]]:
    return [(who, one) for who in lab_standing(room.books).people for one in who.sessions]
