"""Requests for hours that wait for an answer: approve, approve a part, deny with a sentence."""

from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from api.deps import amount_of
from api.pages.forms import Typed, TypedDep
from api.pages.program.desk import OrganizerDep, OrganizingDep, done
from api.pages.rooms import Room, RoomDep
from api.pages.visitor import Visitor
from quota.amount import GpuTime
from quota.errors import AlreadyDecided, BadAmount, BadText
from quota.office import Office

router = APIRouter(prefix="/program/requests")

_ANSWERED_MOST = 20


@router.get("")
def get_requests(request: Request, organizer: OrganizerDep, room: RoomDep) -> HTMLResponse:
    """Show what people ask for."""
    return _page(request, organizer, room)


@router.post("/{request_id}/answer")
def post_answer(
    request_id: UUID, request: Request, organizer: OrganizingDep, typed: TypedDep, room: RoomDep
) -> Response:
    """Approve as many hours as were typed, or deny."""
    office = Office(room.books)
    name = office.asker(request_id)
    fields = {BadAmount: "hours", BadText: "text", AlreadyDecided: ""}
    granted: GpuTime | None = None
    if typed["decision"] == "deny":
        typed.wants("text", "why not; the scholar will see it")
    else:
        with typed.finding(fields):
            granted = amount_of(typed["hours"])
    with typed.finding(fields):
        if typed.is_good:
            office.answer(request_id, granted, by=organizer.access.by, text=typed["text"])
    if not typed.is_good:
        return _page(request, organizer, room, wrong=(request_id, typed))
    said = "denied the request" if granted is None else f"gave {granted.hours_text()} GPU-hours"
    return done(room, "program/requests", f"You {said} of {name}.")


def _page(
    request: Request, organizer: Visitor, room: Room, *, wrong: tuple[UUID, Typed] | None = None
) -> HTMLResponse:
    office, lab = Office(room.books), room.books.lab
    asked = office.hour_requests(state="open", most=1_000)
    forms = {one.id: Typed(values={"hours": one.hours.text(), "text": ""}) for _, one in asked}
    typed = Typed()
    if wrong is not None:
        # One that was answered elsewhere meanwhile has no form any more: the page says so itself.
        forms[wrong[0]] = typed = wrong[1]
    is_gone = wrong is not None and all(one.id != wrong[0] for _, one in asked)
    return room.looks.page(
        request, "program_requests.html", organizer, asked=asked, forms=forms,
        answered=office.answered_requests(most=_ANSWERED_MOST),
        sections={who: lab.section_name_of(who) or "" for who, _ in asked},
        gone=typed.faults.get("", "This request is not open any more.") if is_gone else "",
        status=room.looks.typed_status(typed),
    )  # fmt: skip
