"""The GPUs: what is taken of each, and how one is kept free of new sessions."""

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from api.pages.forms import Typed, TypedDep
from api.pages.program.desk import OrganizerDep, OrganizingDep, done
from api.pages.rooms import Room, RoomDep
from api.pages.visitor import Visitor
from quota.errors import BadText, NoSuchThing
from quota.office import Office
from quota.rulebook import entry_tag

router = APIRouter(prefix="/program/gpus")

_PART = "drained_gpus"


@router.get("")
def get_gpus(request: Request, organizer: OrganizerDep, room: RoomDep) -> HTMLResponse:
    """List the GPUs."""
    return _page(request, organizer, room)


@router.post("/{uuid}/drain")
def post_drain(
    uuid: str, request: Request, organizer: OrganizingDep, typed: TypedDep, room: RoomDep
) -> Response:
    """Let a GPU take no new sessions; those on it stay."""
    why = typed.wants("reason", "why; it stands in the audit trail")
    if not _change(room, organizer, uuid, {"why": why}, typed):
        return _page(request, organizer, room, wrong=(uuid, typed))
    return done(room, "program/gpus", f"{uuid} takes no new sessions. Those on it stay.")


@router.post("/{uuid}/undrain")
def post_undrain(
    uuid: str, request: Request, organizer: OrganizingDep, typed: TypedDep, room: RoomDep
) -> Response:
    """Let a drained GPU take sessions again."""
    typed.wants("reason", "why; it stands in the audit trail")
    if not _change(room, organizer, uuid, None, typed):
        return _page(request, organizer, room, wrong=(uuid, typed))
    return done(room, "program/gpus", f"{uuid} takes sessions again.")


def _change(
    room: Room, organizer: Visitor, uuid: str, body: dict[str, str] | None, typed: Typed
) -> bool:
    books = room.books
    if uuid not in {gpu.uuid for gpu in books.load().gpus} and body is not None:
        raise NoSuchThing("The lab has no GPU of this name.")
    # Who comes second finds it done: draining twice is the same as once.
    tag = entry_tag(books.lab, _PART, uuid)
    if body is None and tag == "absent":
        return typed.is_good
    with typed.finding({BadText: "reason"}):
        if typed.is_good:
            Office(books).change_rule(_PART, uuid, body, tag=tag, by=organizer.access.by,
                                      reason=typed["reason"].strip())  # fmt: skip
    return typed.is_good


def _page(
    request: Request, organizer: Visitor, room: Room, *, wrong: tuple[str, Typed] | None = None
) -> HTMLResponse:
    gpus = room.books.load().gpus
    forms = {gpu.uuid: Typed() for gpu in gpus}
    if wrong is not None:
        forms[wrong[0]] = wrong[1]
    return room.looks.page(
        request, "program_gpus.html", organizer, gpus=gpus, forms=forms,
        drained=room.books.lab.drained_gpus,
        status=room.looks.typed_status(*forms.values()),
    )  # fmt: skip
