"""Extra hours: for one person, and what was given lately."""

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from api.deps import amount_of
from api.pages.forms import Typed, TypedDep, blank
from api.pages.program.desk import OrganizerDep, OrganizingDep, done, last_day, people_of, zone_of
from api.pages.rooms import Room, RoomDep
from api.pages.visitor import Visitor
from quota.errors import BadAmount, BadText, GrantConflict, NoSuchAccount
from quota.listings import newest_grants
from quota.office import Office

router = APIRouter(prefix="/program/grants")

_NEWEST = 50


@router.get("")
def get_grants(request: Request, organizer: OrganizerDep, room: RoomDep) -> HTMLResponse:
    """Show what was given lately, and a form to give more."""
    return _page(request, organizer, room, blank())


@router.post("")
def post_grant(
    request: Request, organizer: OrganizingDep, typed: TypedDep, room: RoomDep
) -> Response:
    """Give hours to one person."""
    name = typed.wants("account", "a user name")
    if not give(room, organizer, name, typed):
        return _page(request, organizer, room, typed)
    return done(room, "program/grants", f"{name} got {typed['hours'].strip()} GPU-hours.")


def give(room: Room, organizer: Visitor, name: str, typed: Typed) -> bool:
    """Give the hours of a form; what is wrong stands at its fields."""
    typed.wants("reason", "what for; the scholar will see it")
    until = last_day(typed, "until", zone_of(room.books.lab, name))
    fields = {BadAmount: "hours", BadText: "reason", NoSuchAccount: "account", GrantConflict: ""}
    with typed.finding(fields):
        hours = amount_of(typed["hours"])
        if typed.is_good:
            Office(room.books).grant(typed.id(), name, hours, by=organizer.access.by,
                                     reason=typed["reason"].strip(), until=until)  # fmt: skip
    return typed.is_good


def _page(request: Request, organizer: Visitor, room: Room, typed: Typed) -> HTMLResponse:
    return room.looks.page(
        request, "program_grants.html", organizer, typed=typed, names=people_of(room.books.lab),
        grants=newest_grants(room.books, most=_NEWEST), status=room.looks.typed_status(typed),
    )  # fmt: skip
