"""A scholar's own page: hours, why there are so many, what runs, and how to ask for more."""

from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from api.deps import amount_of
from api.pages import charts
from api.pages.balance import parts_given, parts_of_use
from api.pages.forms import SenderDep, Typed, TypedDep, blank
from api.pages.rooms import Room, RoomDep
from api.pages.use_chart import use_shown
from api.pages.visitor import Visitor, VisitorDep
from quota.errors import BadAmount, BadText, NoSuchThing
from quota.listings import newest_requests
from quota.office import Office
from quota.own_hours import own_hours
from quota.shown import GPU_TEXTS, LEASE_TEXTS

router = APIRouter(prefix="/hours")

_REQUESTS_MOST = 10


@router.get("")
def get_hours(request: Request, visitor: VisitorDep, room: RoomDep) -> HTMLResponse:
    """Show a person's own hours."""
    return _page(request, visitor, room)


@router.get("/now")
def get_now(visitor: VisitorDep, room: RoomDep) -> HTMLResponse:
    """Show what changes by the minute: the balance and what runs."""
    return room.looks.part("hours_now.html", visitor, **_now(visitor, room))


@router.post("/requests")
def post_request(request: Request, sender: SenderDep, typed: TypedDep, room: RoomDep) -> Response:
    """Ask for hours."""
    reason = typed.wants("reason", "what you need the hours for")
    with typed.finding({BadAmount: "hours", BadText: "reason"}):
        hours = amount_of(typed["hours"])
        if typed.is_good:
            Office(room.books).ask(typed.id(), sender.name, hours, reason)
    if not typed.is_good:
        return _page(request, sender, room, ask=typed)
    return room.done("hours", "You asked for more hours. You will see the answer here.")


@router.post("/requests/{request_id}/withdraw")
def post_withdrawal(request_id: UUID, sender: SenderDep, room: RoomDep) -> Response:
    """Take one's own request back."""
    office = Office(room.books)
    if office.asker(request_id) != sender.name:
        raise NoSuchThing("There is no such request.")
    office.withdraw(request_id, by=sender.access.by)
    return room.done("hours", "You took your request back.")


def _page(
    request: Request, visitor: Visitor, room: Room, *, ask: Typed | None = None
) -> HTMLResponse:
    typed = ask or blank()
    asked = newest_requests(room.books, visitor.name, most=_REQUESTS_MOST)
    return room.looks.page(
        request, "hours.html", visitor, requests=asked, ask=typed,
        status=room.looks.typed_status(typed), **_now(visitor, room),
    )  # fmt: skip


def _now(visitor: Visitor, room: Room) -> dict[str, object]:
    hours = own_hours(room.books, visitor.name)
    given, use = parts_given(hours.account.lots, now=room.books.clock.now()), parts_of_use(hours)
    left = hours.account.balance.hours_text()
    uses = {one.session.lease.id: use_shown(one.use, hours.account.time_zone)
            for one in hours.sessions}  # fmt: skip
    title = f"{left} of {hours.account.granted.hours_text()} GPU-hours are left"
    return {
        "hours": hours, "given": given, "use": use, "flavors": room.books.lab.flavors,
        "lease_texts": LEASE_TEXTS, "gpu_texts": GPU_TEXTS, "uses": uses,
        "bars": charts.stacked(title, [given, use]),
    }  # fmt: skip
