"""A scholar's own page: hours, why there are so many, and how to ask for more."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.deps import amount_of
from api.pages.forms import SenderDep, Typed, TypedDep, blank
from api.pages.rooms import Room, RoomDep
from api.pages.visitor import Visitor, VisitorDep
from quota.errors import BadAmount, BadText, NoSuchThing
from quota.explanation import Explanation
from quota.hour_requests import HourRequest
from quota.office import Office
from quota.views import AccountView

router = APIRouter(prefix="/hours")

_REQUESTS_MOST = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class HoursView:
    """All that the page shows."""

    account: AccountView
    explanation: Explanation
    requests: list[HourRequest]


@router.get("")
def get_hours(request: Request, visitor: VisitorDep, room: RoomDep) -> HTMLResponse:
    """Show a person's own hours."""
    return _page(request, visitor, room)


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
    return _done(room, "You asked for more hours. You will see the answer here.")


@router.post("/requests/{request_id}/withdraw")
def post_withdrawal(request_id: UUID, sender: SenderDep, room: RoomDep) -> Response:
    """Take one's own request back."""
    office = Office(room.books)
    if office.asker(request_id) != sender.name:
        raise NoSuchThing("There is no such request.")
    office.withdraw(request_id, by=sender.access.by)
    return _done(room, "You took your request back.")


def _page(
    request: Request, visitor: Visitor, room: Room, *, ask: Typed | None = None
) -> HTMLResponse:
    typed = ask or blank()
    return room.looks.page(request, "hours.html", visitor, view=_view(visitor, room), ask=typed,
                           status=room.looks.typed_status(typed))  # fmt: skip


def _view(visitor: Visitor, room: Room) -> HoursView:
    books, name = room.books, visitor.name
    asked = [one for _, one in Office(books).hour_requests(name=name)]
    return HoursView(account=books.account(name), explanation=books.explanation(name),
                     requests=asked[::-1][:_REQUESTS_MOST])  # fmt: skip


def _done(room: Room, word: str) -> Response:
    """Lead back to the page, which says what was done."""
    answer = RedirectResponse(room.addresses.page("hours"), status_code=303)
    room.cookies.say(answer, word)
    return answer
