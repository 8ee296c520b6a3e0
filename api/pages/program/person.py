"""One person as organizers see them: hours and why, sessions, grants, requests, who attached."""

from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from api.pages.forms import Typed, TypedDep, blank
from api.pages.program.desk import OrganizerDep, OrganizingDep, done, person_page
from api.pages.program.grants import give
from api.pages.rooms import Room, RoomDep
from api.pages.visitor import Visitor
from quota.attachments import Attachment
from quota.errors import BadRule, BadText, NoSuchAccount
from quota.explanation import Explanation
from quota.hour_requests import HourRequest
from quota.lab_people import Scholar
from quota.labs import PassedLab
from quota.listings import newest_grants
from quota.office import Office
from quota.passing import passed_by
from quota.plain_text import check_person
from quota.roster import RosterRow, plan_import
from quota.views import AccountView, GrantView

router = APIRouter(prefix="/program/people")

_MOST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonView:
    """All that the page shows; `own` is what the rules say of this person alone."""

    account: AccountView
    explanation: Explanation
    role: str
    own: Scholar | None
    supports: list[str]
    grants: list[GrantView]
    requests: list[HourRequest]
    attachments: list[Attachment]
    passed: tuple[PassedLab, ...]


@router.get("/{name}")
def get_person(
    name: str, request: Request, organizer: OrganizerDep, room: RoomDep
) -> HTMLResponse:
    """Show one person."""
    return _page(request, organizer, room, name)


@router.post("/{name}/grants")
def post_grant(
    name: str, request: Request, organizer: OrganizingDep, typed: TypedDep, room: RoomDep
) -> Response:
    """Give the person hours."""
    if not give(room, organizer, name, typed):
        return _page(request, organizer, room, name, grant=typed)
    return done(room, person_page(name),
                f"{name} got {typed['hours'].strip()} GPU-hours.")  # fmt: skip


@router.post("/{name}/section")
def post_section(
    name: str, request: Request, organizer: OrganizingDep, typed: TypedDep, room: RoomDep
) -> Response:
    """Put the person into another section."""
    _require_known(room, name)
    reason = typed.wants("reason", "why")
    rows = [RosterRow(line=1, name=name, section=typed["section"])]
    plan = plan_import(room.books.lab, rows, remove_others=False)
    if plan.faults:
        typed.faults["section"] = "Choose one of the sections."
    with typed.finding({BadText: "reason", BadRule: ""}):
        if typed.is_good:
            Office(room.books).import_roster(plan, by=organizer.access.by, reason=reason)
    if not typed.is_good:
        return _page(request, organizer, room, name, move=typed)
    return done(room, person_page(name), f"{name} is in {typed['section']} now.")


def _page(
    request: Request, organizer: Visitor, room: Room, name: str, *,
    grant: Typed | None = None, move: Typed | None = None,
) -> HTMLResponse:  # fmt: skip
    lab = room.books.lab
    grant = grant or blank()
    move = move or blank(section=lab.section_name_of(name) or "")
    return room.looks.page(
        request, "program_person.html", organizer, view=_view(room, name), grant=grant,
        move=move, sections=[(one.name, one.title) for one in lab.sections.values()],
        status=room.looks.typed_status(grant, move),
    )  # fmt: skip


def _view(room: Room, name: str) -> PersonView:
    books, office = room.books, Office(room.books)
    _require_known(room, name)
    return PersonView(
        account=books.account(name), explanation=books.explanation(name),
        role=books.lab.role_of(name), own=books.lab.scholars.get(name),
        supports=[one.title for one in books.lab.sections_of_ta(name)],
        grants=newest_grants(books, name=name, most=_MOST),
        requests=[one for _, one in office.hour_requests(name=name)][::-1][:_MOST],
        attachments=office.attachments_of(name)[:_MOST], passed=passed_by(books, name),
    )  # fmt: skip


def _require_known(room: Room, name: str) -> None:
    check_person(name)
    if not room.books.knows(name):
        raise NoSuchAccount("The lab knows nobody of this name.")
