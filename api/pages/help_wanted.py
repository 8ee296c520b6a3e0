"""Help from a scholar's side: ask a TA, one's place, who was in a session, who may come in."""

from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from api.pages.forms import SenderDep, Typed, TypedDep, blank
from api.pages.rooms import Room, RoomDep
from api.pages.visitor import Visitor, VisitorDep
from quota.errors import AlreadyDecided, BadText, NoSuchAccount, NoSuchThing
from quota.helping import Helping
from quota.office import Office
from quota.own_help import OwnHelp, own_help
from quota.visiting import CONSENT_CHOICES

router = APIRouter(prefix="/hours")

_PATH_MOST_CHARS = 1000
CONSENT_TEXTS = {
    "always": "At any time",
    "asking": "Only while I ask for help",
}
HELP_TEXTS = {"waiting": "waiting", "claimed": "somebody helps", "resolved": "resolved",
              "withdrawn": "taken back"}  # fmt: skip
MODE_TEXTS = {"observe": "looked on", "co_edit": "could edit and run"}
VISIT_END_TEXTS = {
    "detached": "left", "time_over": "the time was over", "session_ended": "the session ended",
    "scholar_ended": "you ended it",
}  # fmt: skip


@router.get("/help")
def get_help(request: Request, visitor: VisitorDep, room: RoomDep) -> HTMLResponse:
    """Show what was asked, who was attached, and who may come in."""
    return _page(request, visitor, room)


@router.get("/help/now")
def get_help_now(visitor: VisitorDep, room: RoomDep) -> HTMLResponse:
    """Show what changes by the minute: one's place, and who is attached."""
    return room.looks.part("help_now.html", visitor, **_now(_help(visitor, room)))


@router.post("/help")
def post_help(request: Request, sender: SenderDep, typed: TypedDep, room: RoomDep) -> Response:
    """Ask the TAs of one's section for help."""
    message, path = typed.wants("message", "what you need help with"), typed["path"].strip()
    if len(path) > _PATH_MOST_CHARS or not path.isprintable():
        typed.faults["path"] = "Write a path as the file browser shows it, in one line."
    with typed.finding({BadText: "message", AlreadyDecided: "", NoSuchAccount: ""}):
        if typed.is_good:
            Helping(room.books).raise_hand(
                typed.id(), sender.name, message=message, path=path,
                server_name=_server(typed, sender, room), by=sender.access.by,
            )  # fmt: skip
    if not typed.is_good:
        return _page(request, sender, room, ask=typed)
    return room.done("hours/help", "The TAs of your section see that you need help.")


@router.post("/help/{request_id}/withdraw")
def post_help_withdrawal(request_id: UUID, sender: SenderDep, room: RoomDep) -> Response:
    """Take one's own request for help back."""
    helping = Helping(room.books)
    if helping.asker(request_id) != sender.name:
        raise NoSuchThing("There is no such request for help.")
    helping.withdraw(request_id, by=sender.access.by)
    return room.done("hours/help", "You took your request for help back.")


@router.post("/consent")
def post_consent(request: Request, sender: SenderDep, typed: TypedDep, room: RoomDep) -> Response:
    """Choose when TAs may attach."""
    choice = next((one for one in CONSENT_CHOICES if one == typed["choice"]), None)
    if choice is None:
        typed.faults["choice"] = "Choose one of these."
        return _page(request, sender, room, consent=typed)
    Helping(room.books).choose(sender.name, choice, by=sender.access.by)
    return room.done("hours/help", f"TAs may attach: {CONSENT_TEXTS[choice].lower()}.")


@router.post("/attachments/{attachment_id}/end")
def post_end_of_visit(attachment_id: UUID, sender: SenderDep, room: RoomDep) -> Response:
    """End a TA's visit in one's own session at once."""
    office = Office(room.books)
    account, attachment = office.attached_to(attachment_id)
    if account != sender.name:
        raise NoSuchThing("There is no such attachment.")
    office.detach(attachment_id, "scholar_ended", by=sender.access.by)
    # The worker does it within a tick where the hub does not answer now.
    room.sharing.settle(attachment.ta)
    return room.done("hours/help", f"{attachment.ta} is not attached any more.")


def _page(
    request: Request, visitor: Visitor, room: Room, *, ask: Typed | None = None,
    consent: Typed | None = None,
) -> HTMLResponse:  # fmt: skip
    found = _help(visitor, room)
    choice = consent or blank(choice=found.consent.choice)
    return room.looks.page(
        request, "help.html", visitor, ask=ask or blank(path=""), consent=choice,
        choices=list(CONSENT_TEXTS.items()), section=room.books.lab.section_of(visitor.name),
        servers=[(one, one or "My session") for one in found.servers],
        status=room.looks.typed_status(ask or choice, choice), **_now(found),
    )  # fmt: skip


def _now(found: OwnHelp) -> dict[str, object]:
    return {"help": found, "visit": found.visit, "help_texts": HELP_TEXTS,
            "mode_texts": MODE_TEXTS, "visit_end_texts": VISIT_END_TEXTS}  # fmt: skip


def _help(visitor: Visitor, room: Room) -> OwnHelp:
    return own_help(room.books, visitor.name, now=room.books.clock.now())


def _server(typed: Typed, sender: Visitor, room: Room) -> str:
    """Return the session that was chosen; one that has ended meanwhile is no reason to refuse."""
    running = _help(sender, room).servers
    return typed["server_name"] if typed["server_name"] in running else next(iter(running), "")
