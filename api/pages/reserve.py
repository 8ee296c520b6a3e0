"""A GPU share reserved ahead, from a scholar's side: what is reserved, one more, take it back."""

from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from api.pages.forms import SenderDep, Typed, TypedDep, blank
from api.pages.rooms import Room, RoomDep
from api.pages.visitor import Visitor, VisitorDep
from quota.calendar import local_instant
from quota.errors import (
    BadLength,
    BadStart,
    FlavorCannotBePlaced,
    GpusClosed,
    NoSuchFlavor,
    NoSuchThing,
    NothingFree,
    Refusal,
)
from quota.lab_reservations import SHORTEST_MIN
from quota.reserving_ahead import Reserving
from quota.shown import span_text

router = APIRouter(prefix="/hours")

_SHOWN_MOST = 30
_STEP_MIN = 30
_WRITTEN = "%Y-%m-%dT%H:%M"
# Days that any zone can count from and to.
_YEARS = range(2000, 2200)
RESERVATION_TEXTS = {
    "open": "reserved", "withdrawn": "taken back", "no_show": "given to others, nobody came",
    "called_off": "called off, no GPU could keep it", "used": "given to others, you had a session",
    "over": "over",
}  # fmt: skip
_FIELDS: dict[type[Refusal], str] = {
    BadStart: "starts", GpusClosed: "starts", NothingFree: "starts", BadLength: "minutes",
    NoSuchFlavor: "flavor", FlavorCannotBePlaced: "flavor", Refusal: "",
}  # fmt: skip


@router.get("/reserve")
def get_reserve(request: Request, visitor: VisitorDep, room: RoomDep) -> HTMLResponse:
    """Show what somebody has reserved, and a form for more."""
    return _page(request, visitor, room)


@router.post("/reserve")
def post_reserve(request: Request, sender: SenderDep, typed: TypedDep, room: RoomDep) -> Response:
    """Reserve a share."""
    zone = _zone(sender, room)
    starts_at = _read_start(typed, zone)
    minutes = typed.number("minutes", least=1, most=10_080)
    if starts_at is not None and minutes is not None:
        with typed.finding(_FIELDS):
            made = Reserving(room.books).reserve(
                typed.id(), sender.name, flavor=typed["flavor"], starts_at=starts_at,
                minutes=minutes, by=sender.access.by,
            )  # fmt: skip
    if not typed.is_good:
        return _page(request, sender, room, wish=typed)
    begins = made.starts_at.astimezone(zone)
    return room.done("hours/reserve", f"It is reserved for you from {begins:%A, %d %B at %H:%M} "
                     f"({begins:%Z}) on.")  # fmt: skip


@router.post("/reserve/{reservation_id}/withdraw")
def post_reserve_withdrawal(reservation_id: UUID, sender: SenderDep, room: RoomDep) -> Response:
    """Take one's own reservation back."""
    reserving = Reserving(room.books)
    if reserving.holder(reservation_id) != sender.name:
        raise NoSuchThing("There is no such reservation.")
    reserving.withdraw(reservation_id, by=sender.access.by)
    return room.done("hours/reserve", "You took the reservation back.")


def _page(
    request: Request, visitor: Visitor, room: Room, *, wish: Typed | None = None
) -> HTMLResponse:
    lab = room.books.lab
    typed = wish or blank(minutes="60")
    flavors = [(one.name, one.title) for one in lab.flavors.values() if one.is_gpu]
    return room.looks.page(
        request, "reserve.html", visitor, status=room.looks.typed_status(typed), wish=typed,
        rules=lab.reservations, section=lab.section_of(visitor.name), flavors=flavors,
        titles=dict(flavors), lengths=_lengths(lab.reservations.longest_min),
        reserved=Reserving(room.books).newest(visitor.name, most=_SHOWN_MOST),
        texts=RESERVATION_TEXTS,
    )  # fmt: skip


def _lengths(longest_min: int) -> list[tuple[str, str]]:
    """List the lengths to choose from, half an hour apart."""
    some = [*range(SHORTEST_MIN, longest_min, _STEP_MIN), longest_min]
    return [(str(minutes), span_text(minutes * 60)) for minutes in some]


def _read_start(typed: Typed, zone: ZoneInfo) -> datetime | None:
    """Read day and time as the browser's field sends them, on the scholar's own clocks."""
    text = typed["starts"].strip()
    try:
        local = datetime.strptime(text[:16], _WRITTEN)  # noqa: DTZ007 - on the clocks of the zone
    except ValueError:
        local = None
    if local is None or local.year not in _YEARS:
        typed.faults["starts"] = "Write a day and a time, like 2027-01-20T18:00."
        return None
    instant = local_instant(local, zone)
    if instant.astimezone(zone).replace(tzinfo=None) != local:
        typed.faults["starts"] = "On that day the clocks skip this time; choose a later one."
        return None
    return instant


def _zone(visitor: Visitor, room: Room) -> ZoneInfo:
    section = room.books.lab.section_of(visitor.name)
    return ZoneInfo("UTC") if section is None else section.zone
