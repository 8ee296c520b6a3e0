"""Helping a scholar: take up their request, attach to a session, detach, and say it is done."""

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.pages.attach_form import mode_of
from api.pages.forms import SenderDep, TypedDep
from api.pages.section_drawn import Forms, draw
from api.pages.section_place import Place, PlaceDep
from quota.errors import BadText, NoSuchAccount, NoSuchThing

router = APIRouter(prefix="/section/{section}/people/{scholar}")


# -- the help queue ----------------------------------------------------------------------------


@router.post("/help/{request_id}/claim")
def post_claim(request_id: UUID, at: PlaceDep, _sender: SenderDep) -> Response:
    """Take a request for help up."""
    _require_helping(request_id, at)
    before, after = at.helping.claim(request_id, by=at.access.by)
    if before.state == "waiting":
        at.room.metrics.note_help_wait(after)
    return at.done(f"You help {at.scholar} now.")


@router.post("/help/{request_id}/hand-over")
def post_hand_over(
    request_id: UUID, at: PlaceDep, _sender: SenderDep, typed: TypedDep
) -> Response:
    """Pass a request on to another TA, or put it back into the queue."""
    _require_helping(request_id, at)
    to = typed["to"] or None
    with typed.finding({NoSuchAccount: "to"}):
        at.helping.hand_over(request_id, to, by=at.access.by)
    if not typed.is_good:
        return draw(at, Forms(hand_over={request_id: typed}))
    word = f"{to} helps {at.scholar} now." if to else f"{at.scholar} waits in the queue again."
    return at.done(word, to_section=True)


@router.post("/help/{request_id}/resolve")
def post_resolution(
    request_id: UUID, at: PlaceDep, _sender: SenderDep, typed: TypedDep
) -> Response:
    """Close a request that was helped, with a word for the scholar."""
    _require_helping(request_id, at)
    with typed.finding({BadText: "text"}):
        at.helping.resolve(request_id, typed["text"].strip(), by=at.access.by)
    if not typed.is_good:
        return draw(at, Forms(resolve={request_id: typed}))
    return at.done(f"The request of {at.scholar} is resolved.", to_section=True)


def _require_helping(request_id: UUID, at: Place) -> None:
    at.access.require_supporting(at.scholar)
    if at.helping.asker(request_id) != at.scholar:
        raise NoSuchThing("There is no such request for help.")


# -- attachments -------------------------------------------------------------------------------


@router.post("/attachments")
def post_attachment(at: PlaceDep, _sender: SenderDep, typed: TypedDep) -> Response:
    """Attach to a running session of a scholar."""
    at.access.require_attaching(at.scholar)
    reason = typed.wants("reason", "what for; the scholar will see it")
    minutes = typed.number("minutes", least=1, most=at.room.books.lab.policy.attach_most_min)
    with typed.finding({BadText: "reason"}):
        if minutes is not None and typed.is_good:
            at.office.attach(
                typed.id(), at.scholar, server_name=typed["server"], mode=mode_of(typed),
                minutes=minutes, by=at.access.by, reason=reason,
                has_own_host=bool(at.room.addresses.public_host),
            )  # fmt: skip
    if not typed.is_good:
        return draw(at, Forms(attach=typed))
    if at.room.sharing.settle(at.visitor.name):
        return at.done(f"You are attached to the session of {at.scholar}. Open it below.")
    return at.done("You are attached, but the hub does not answer just now. It will let you in "
                   "as soon as it does.")  # fmt: skip


@router.post("/attachments/{attachment_id}/end")
def post_end(attachment_id: UUID, at: PlaceDep, _sender: SenderDep, typed: TypedDep) -> Response:
    """End one's own attachment, or as an organizer anybody's."""
    account, attachment = at.office.attached_to(attachment_id)
    if account != at.scholar:
        raise NoSuchThing("There is no such attachment.")
    why = at.access.ending_of(account, attachment)
    at.office.detach(attachment_id, why, by=at.access.by)
    # Where the hub is silent the worker sees to it; the session itself asks who may stay.
    at.room.sharing.settle(attachment.ta)
    word = f"{attachment.ta} is not attached to the session of {at.scholar} any more."
    return at.done(word, to_section=typed["back"] == "section")
