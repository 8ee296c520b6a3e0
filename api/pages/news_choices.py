"""What somebody was told, and where they want to hear of it, too: among the lab's channels."""

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from api.pages.forms import SenderDep, Typed, TypedDep
from api.pages.rooms import Room, RoomDep
from api.pages.visitor import Visitor, VisitorDep
from quota.errors import BadChoice, StaleEdit
from quota.notice_choices import NoticeChoices, choices_of, choose
from quota.telling import KINDS

router = APIRouter(prefix="/hours/news")


@router.get("")
def get_news_choices(request: Request, visitor: VisitorDep, room: RoomDep) -> HTMLResponse:
    """Show what can be chosen, and what holds now."""
    visitor.access.require_own(visitor.name)
    found = choices_of(room.books, visitor.name)
    return _page(request, visitor, room, found, _as_typed(found))


@router.post("")
def post_news_choices(
    request: Request, sender: SenderDep, typed: TypedDep, room: RoomDep
) -> Response:
    """Replace all that somebody chose; what is not checked is not told."""
    sender.access.require_own(sender.name)
    found = choices_of(room.books, sender.name)
    wanted = {str(kind): typed.all_of(kind) for kind in found.chosen}
    with typed.finding({BadChoice: "", StaleEdit: ""}):
        choose(room.books, sender.name, wanted, tag=typed["tag"])
    if not typed.is_good:
        # Sent once more, it replaces what is there now.
        typed.values["tag"] = found.tag
        return _page(request, sender, room, found, typed)
    return room.done("hours/news", "Your choices hold from now on.")


def _page(
    request: Request, visitor: Visitor, room: Room, found: NoticeChoices, typed: Typed
) -> HTMLResponse:
    kinds = [(kind, KINDS[kind].title) for kind in found.chosen]
    notices = room.books.account(visitor.name).notices
    return room.looks.page(
        request, "news.html", visitor, kinds=kinds, channels=found.channels, choices=typed,
        quiet=room.books.lab.quiet_hours, notices=notices,
        status=room.looks.typed_status(typed),
    )  # fmt: skip


def _as_typed(found: NoticeChoices) -> Typed:
    lists = {str(kind): list(names) for kind, names in found.chosen.items()}
    return Typed(values={"tag": found.tag}, lists=lists)
