"""The week of somebody's section: topic, due dates, hours; and addresses of its calendar."""

from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from api.envelope import SECRET_AFTER
from api.pages.addresses import PREFIX
from api.pages.forms import SenderDep, Typed, TypedDep, blank
from api.pages.rooms import Room, RoomDep
from api.pages.visitor import Visitor, VisitorDep
from quota.errors import BadAmount, NoSuchThing
from quota.feeds import feed, feeds_of, make_feed, revoke_feed
from quota.labs import lab_names
from quota.passing import passed_by
from quota.section_week import SectionWeek, section_week

router = APIRouter(prefix="/hours")


@router.get("/week")
def get_week(request: Request, visitor: VisitorDep, room: RoomDep) -> HTMLResponse:
    """Show the week that runs, or the next one, and the next."""
    return _page(request, visitor, room)


@router.post("/calendar")
def post_calendar(request: Request, sender: SenderDep, typed: TypedDep, room: RoomDep) -> Response:
    """Make an address of the own section's calendar; it is shown this once."""
    section = room.books.lab.section_of(sender.name)
    if section is None:
        raise NoSuchThing("You are in no section.")
    secret = None
    with typed.finding({BadAmount: ""}):
        _, secret = make_feed(room.books, typed.id(), sender.name, section.name,
                              by=sender.access.by)  # fmt: skip
    if not typed.is_good:
        return _page(request, sender, room, calendar=typed)
    # Sent again, the form makes nothing new, and the secret is not kept.
    address = "" if secret is None else _address(request, room, secret)
    return room.looks.page(request, "calendar_address.html", sender, address=address)


@router.post("/calendar/{feed_id}/revoke")
def post_revocation(feed_id: UUID, sender: SenderDep, room: RoomDep) -> Response:
    """Let an own address lead nowhere from now on."""
    if feed(room.books, feed_id).owner != sender.name:
        raise NoSuchThing("There is no such calendar address.")
    revoke_feed(room.books, feed_id, by=sender.access.by)
    return room.done("hours/week", "The address leads nowhere from now on.")


def _address(request: Request, room: Room, secret: str) -> str:
    origin = room.addresses.own_origin or f"{request.url.scheme}://{request.url.netloc}"
    return f"{origin}{PREFIX}{SECRET_AFTER}{secret}.ics"


def _page(
    request: Request, visitor: Visitor, room: Room, *, calendar: Typed | None = None
) -> HTMLResponse:
    books, typed = room.books, calendar or blank()
    section = books.lab.section_of(visitor.name)
    weeks: list[SectionWeek] = []
    if section is not None:
        at = books.clock.now()
        # This week and the one after it: what is due on Monday has to be seen on Friday.
        while len(weeks) < 2 and (week := section_week(books.lab, section, at)) is not None:
            weeks.append(week)
            at = week.week.ends_at
    kept = [one for one in feeds_of(books, visitor.name) if one.revoked_at is None]
    return room.looks.page(
        request, "week.html", visitor, section=section, weeks=weeks, calendar=typed,
        addresses=kept, passed=passed_by(books, visitor.name),
        labs=len(lab_names(books.lab.program)), status=room.looks.typed_status(typed),
    )  # fmt: skip
