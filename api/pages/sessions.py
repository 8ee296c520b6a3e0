"""What somebody does with an own session from the pages: stop it, keep its GPU, leave the line."""

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.pages.forms import SenderDep
from api.pages.rooms import Room, RoomDep
from api.pages.visitor import Visitor
from quota.errors import GpuIsWanted, NoSuchLease
from quota.idling import Idling
from quota.shown import moment_text
from quota.views import LeaseView

router = APIRouter(prefix="/hours/sessions/{lease_id}")


@router.post("/stop")
def post_stop(lease_id: UUID, sender: SenderDep, room: RoomDep) -> Response:
    """Stop an own session: the worker ends it, through the hub, as it ends others."""
    if _own(lease_id, sender, room).lease.state not in ("held", "active"):
        return room.done("hours", "This session does not run any more.")
    room.books.stop_lease(lease_id, "scholar")
    return room.done("hours", "Your session is being stopped. That takes up to half a minute; "
                     "your files are kept.")  # fmt: skip


@router.post("/leave")
def post_leaving(lease_id: UUID, sender: SenderDep, room: RoomDep) -> Response:
    """Give one's place in the line up."""
    if _own(lease_id, sender, room).lease.state != "waiting":
        return room.done("hours", "You are not in the line any more.")
    room.books.stop_lease(lease_id, "scholar")
    return room.done("hours", "You left the line. The wait has cost nothing.")


@router.post("/keep")
def post_keeping(lease_id: UUID, sender: SenderDep, room: RoomDep) -> Response:
    """Keep the GPU of an own session that does not use it."""
    _own(lease_id, sender, room)
    try:
        kept_until = Idling(room.books).keep(lease_id).kept_until
    except (GpuIsWanted, NoSuchLease) as no:
        return room.done("hours", no.message)
    assert kept_until is not None, "it was kept just now"
    zone = room.books.account(sender.name).time_zone
    return room.done("hours", f"The GPU is kept until {moment_text(kept_until, zone)}.")


def _own(lease_id: UUID, sender: Visitor, room: Room) -> LeaseView:
    view = room.books.lease(lease_id)
    if view.account != sender.name:
        # The same words as for an id that nobody has: others' sessions do not show.
        raise NoSuchLease("There is no such lease.")
    return view
