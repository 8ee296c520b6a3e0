"""Sections and who is in them: a roster as CSV, tried first, then taken over."""

import hashlib

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from api.pages.forms import Typed, TypedDep, blank
from api.pages.program.desk import OrganizerDep, OrganizingDep, done
from api.pages.rooms import Room, RoomDep
from api.pages.visitor import Visitor
from quota.errors import BadRule, BadText
from quota.office import Office
from quota.roster import RosterPlan, plan_import, read_roster

router = APIRouter(prefix="/program/sections")

ROSTER_PAGE = "/program/sections/roster"
# Who mends these finds the rest at the next try.
_SHOWN_MOST = 200


@router.get("")
def get_sections(request: Request, organizer: OrganizerDep, room: RoomDep) -> HTMLResponse:
    """List the sections, and take a roster."""
    return _page(request, organizer, room, blank())


@router.post("/roster")
def post_roster(
    request: Request, organizer: OrganizingDep, typed: TypedDep, room: RoomDep
) -> Response:
    """Show what a roster would change; once that was seen, change it."""
    reason = typed.wants("reason", "why; it stands in the audit trail")
    room.books.reload_rules()
    rows, faults = read_roster(typed["csv"])
    plan = RosterPlan(faults=tuple(faults))
    if not faults:
        plan = plan_import(room.books.lab, rows, remove_others=typed["remove"] == "yes")
    if plan.faults:
        typed.faults["csv"] = " | ".join(plan.faults[:20])
    if not typed.is_good or typed["agreed"] == "back":
        return _page(request, organizer, room, typed)
    trial = hashlib.sha256(repr(plan).encode()).hexdigest()[:32]
    if typed["agreed"] == "yes" and typed["trial"] == trial:
        with typed.finding({BadText: "reason", BadRule: "csv"}):
            Office(room.books).import_roster(plan, by=organizer.access.by, reason=reason)
        if not typed.is_good:
            return _page(request, organizer, room, typed)
        return done(room, "program/sections", "The roster is taken over.")
    typed.values["trial"] = trial
    return room.looks.page(request, "program_roster.html", organizer, typed=typed, plan=plan,
                           most=_SHOWN_MOST)  # fmt: skip


def _page(request: Request, organizer: Visitor, room: Room, typed: Typed) -> HTMLResponse:
    lab = room.books.lab
    counts = dict.fromkeys(lab.sections, 0)
    for section in lab.roster.values():
        counts[section] += 1
    return room.looks.page(
        request, "program_sections.html", organizer, lab=lab, counts=counts, typed=typed,
        status=room.looks.typed_status(typed),
    )  # fmt: skip
