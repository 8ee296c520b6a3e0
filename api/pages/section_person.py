"""A scholar as their TA sees them: why so many hours, what runs; give, answer, attach, detach."""

from dataclasses import dataclass, field
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.access import Access, no_such_account
from api.deps import amount_of
from api.pages.attach_form import attach_form, mode_of
from api.pages.forms import SenderDep, Typed, TypedDep, blank
from api.pages.rooms import Room, RoomDep
from api.pages.section import LEASE_TEXTS, MODE_TEXTS, STATE_TEXTS
from api.pages.visitor import Visitor, VisitorDep
from quota import listings
from quota.attachments import Attachment
from quota.errors import BadAmount, BadText, BudgetSpent, NoSuchThing
from quota.hour_requests import HourRequest
from quota.office import Office
from quota.views import AccountView

router = APIRouter(prefix="/section/{section}/people/{scholar}")

_REQUESTS_MOST = 10
_ATTACHMENTS_MOST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A scholar's page, and who looks at it."""

    section: str
    scholar: str
    request: Request
    visitor: Visitor
    room: Room

    @property
    def access(self) -> Access:
        """What the visitor may do."""
        return self.visitor.access

    @property
    def office(self) -> Office:
        """The office behind the books."""
        return Office(self.room.books)


def get_place(
    section: str, scholar: str, request: Request, visitor: VisitorDep, room: RoomDep
) -> Place:
    """Let through to scholars of a section that the visitor supports (a FastAPI dependency).

    Raises:
        Problem: 404 for everybody and everything else.

    """
    visitor.access.require_section(section)
    found = room.books.lab.section_of(scholar)
    if found is None or found.name != section or not room.books.knows(scholar):
        raise no_such_account()
    return Place(section=section, scholar=scholar, request=request, visitor=visitor, room=room)


PlaceDep = Annotated[Place, Depends(get_place)]


@dataclass(slots=True, kw_only=True)
class Forms:
    """What was typed into the page's forms; answers by request."""

    grant: Typed = field(default_factory=blank)
    attach: Typed | None = None
    answers: dict[UUID, Typed] = field(default_factory=dict)

    @property
    def every(self) -> list[Typed]:
        """All of them."""
        return [self.grant, *self.answers.values(), *([self.attach] if self.attach else [])]


@router.get("")
def get_person(at: PlaceDep) -> HTMLResponse:
    """Show a scholar of a section."""
    return _page(at, Forms())


@router.post("/grants")
def post_grant(at: PlaceDep, _sender: SenderDep, typed: TypedDep) -> Response:
    """Give hours: a TA out of the week's own, an organizer out of the lab's."""
    source = at.access.source_for(at.scholar)
    reason = typed.wants("reason", "what it is for; the scholar will see it")
    with typed.finding({BadAmount: "hours", BudgetSpent: "hours", BadText: "reason"}):
        hours = amount_of(typed["hours"])
        if typed.is_good:
            at.office.grant(typed.id(), at.scholar, hours, by=at.access.by, reason=reason,
                            source=source)  # fmt: skip
    if not typed.is_good:
        return _page(at, Forms(grant=typed))
    return _done(at, f"You gave {hours.hours_text()} GPU-hours to {at.scholar}.")


@router.post("/requests/{request_id}")
def post_answer(request_id: UUID, at: PlaceDep, _sender: SenderDep, typed: TypedDep) -> Response:
    """Approve all or a part of what a scholar asks for, or deny it."""
    source = at.access.source_of_answer(at.scholar)
    if at.office.asker(request_id) != at.scholar:
        raise NoSuchThing("There is no such request.")
    is_denial = typed["decision"] == "deny"
    if is_denial:
        typed.wants("text", "why not; the scholar will see it")
    with typed.finding({BadAmount: "hours", BudgetSpent: "hours", BadText: "text"}):
        granted = None if is_denial else amount_of(typed["hours"])
        if typed.is_good:
            at.office.answer(request_id, granted, by=at.access.by, text=typed["text"].strip(),
                             source=source)  # fmt: skip
    if not typed.is_good:
        return _page(at, Forms(answers={request_id: typed}))
    return _done(at, "You denied the request." if is_denial else "You approved the request.")


@router.post("/attachments")
def post_attachment(at: PlaceDep, _sender: SenderDep, typed: TypedDep) -> Response:
    """Attach to a running session of a scholar."""
    at.access.require_attaching(at.scholar)
    reason = typed.wants("reason", "what for; the scholar will see it")
    most = at.room.books.lab.policy.attach_most_min
    minutes = typed.number("minutes", least=1, most=most)
    with typed.finding({BadText: "reason"}):
        if typed.is_good and minutes is not None:
            at.office.attach(
                typed.id(), at.scholar, server_name=typed["server"], mode=mode_of(typed),
                minutes=minutes, by=at.access.by, reason=reason,
            )  # fmt: skip
    if not typed.is_good:
        return _page(at, Forms(attach=typed))
    return _done(at, f"You are attached to the session of {at.scholar}.")


@router.post("/attachments/{attachment_id}/end")
def post_end(attachment_id: UUID, at: PlaceDep, _sender: SenderDep, typed: TypedDep) -> Response:
    """End one's own attachment, or as an organizer anybody's."""
    account, attachment = at.office.attached_to(attachment_id)
    if account != at.scholar:
        raise NoSuchThing("There is no such attachment.")
    why = at.access.ending_of(account, attachment)
    at.office.detach(attachment_id, why, by=at.access.by)
    word = f"{attachment.ta} is not attached to the session of {at.scholar} any more."
    return _done(at, word, to_section=typed["back"] == "section")


# -- inside ------------------------------------------------------------------------------------


def _page(at: Place, forms: Forms) -> HTMLResponse:
    books, scholar = at.room.books, at.scholar
    account, is_ta = books.account(scholar), at.access.supports(scholar)
    asked = [one for _, one in at.office.hour_requests(name=scholar)][::-1]
    attachments = at.office.attachments_of(scholar)
    attached = next((one for one in attachments if one.is_open), None)
    return at.room.looks.page(
        at.request, "section_person.html", at.visitor,
        status=at.room.looks.typed_status(*forms.every),
        section=books.lab.sections[at.section], account=account,
        explanation=books.explanation(scholar), may_give=is_ta or at.access.is_organizer,
        ta_left=listings.ta_hours_left(books, at.visitor.name), forms=forms,
        asked=asked[:_REQUESTS_MOST], answers=_answer_forms(asked, forms),
        gone=_gone(asked, forms), attachments=attachments[:_ATTACHMENTS_MOST], attached=attached,
        server=_server_of(attached, account),
        attaching=attach_form(account, attached, books.lab, forms.attach) if is_ta else None,
        flavors=books.lab.flavors, state_texts=STATE_TEXTS, lease_texts=LEASE_TEXTS,
        mode_texts=MODE_TEXTS,
    )  # fmt: skip


def _server_of(attached: Attachment | None, account: AccountView) -> str | None:
    """Return the name of the session that a TA is attached to; None when it is gone."""
    names = (one.lease.server_name for one in account.sessions
             if attached is not None and one.lease.id == attached.lease_id)  # fmt: skip
    return next(names, None)


def _answer_forms(asked: list[HourRequest], forms: Forms) -> list[tuple[HourRequest, Typed]]:
    """Return the open requests, each with its form; unless typed, it says what was asked for."""
    return [
        (one, forms.answers.get(one.id) or blank(hours=one.hours.hours_text()))
        for one in asked[::-1] if one.state == "open"
    ]  # fmt: skip


def _gone(asked: list[HourRequest], forms: Forms) -> list[Typed]:
    """Return what was typed about requests that are not open any more."""
    still = {one.id for one in asked if one.state == "open"}
    return [typed for key, typed in forms.answers.items() if key not in still]


def _done(at: Place, word: str, *, to_section: bool = False) -> Response:
    """Lead to the scholar's page, or the section's, which says what was done."""
    path = f"section/{at.section}" + ("" if to_section else f"/people/{at.scholar}")
    answer = RedirectResponse(at.room.addresses.page(path), status_code=303)
    at.room.cookies.say(answer, word)
    return answer
