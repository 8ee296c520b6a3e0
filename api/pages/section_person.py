"""A scholar as their TA sees them: why so many hours, what runs; give hours, answer requests."""

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

from api.deps import amount_of
from api.pages.forms import SenderDep, TypedDep
from api.pages.section_drawn import Forms, draw
from api.pages.section_place import PlaceDep
from quota.errors import BadAmount, BadText, BudgetSpent, NoSuchThing

router = APIRouter(prefix="/section/{section}/people/{scholar}")


@router.get("")
def get_person(at: PlaceDep) -> HTMLResponse:
    """Show a scholar of a section."""
    return draw(at, Forms())


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
        return draw(at, Forms(grant=typed))
    return at.done(f"You gave {hours.hours_text()} GPU-hours to {at.scholar}.")


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
        return draw(at, Forms(answers={request_id: typed}))
    return at.done("You denied the request." if is_denial else "You approved the request.")
