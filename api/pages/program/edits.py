"""Changing an entry of the rules: typed, looked at with all that follows from it, then made."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from api.pages.forms import Typed, TypedDep
from api.pages.program.desk import OrganizerDep, OrganizingDep, done
from api.pages.program.entries import Field, blame, body_of, typed_of
from api.pages.program.kinds import KINDS, Kind, shown_changes
from api.pages.rooms import Room, RoomDep
from api.pages.visitor import Visitor
from quota.errors import BadRule, BadText, NoSuchThing, StaleEdit
from quota.foreseen import HoursChange, hours_changes
from quota.office import Office
from quota.plain_text import check_text
from quota.rulebook import Amendment, amended, entry_body, entry_tag

router = APIRouter(prefix="/program/edit")

_AFFECTED_MOST = 200
_STALE = (
    "Somebody else changed this meanwhile. Beside the fields stands what it says now; what you "
    "typed is kept. Send it again to put yours in its place."
)


@dataclass(slots=True, kw_only=True)
class Edit:
    """One entry that somebody is about to change."""

    kind_name: str
    kind: Kind
    name: str
    fields: tuple[Field, ...]
    now: dict[str, Any]
    tag: str
    typed: Typed
    is_stale: bool = False
    is_adding: bool = False

    @property
    def is_new(self) -> bool:
        """Tell whether the rules have no such entry yet."""
        return self.tag == "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Affected:
    """Somebody whose hours change: in the week that runs, and in later ones."""

    scholar: str
    section: str
    running: HoursChange | None
    later: list[HoursChange]


@router.get("/{kind_name}")
def get_new(
    kind_name: str, request: Request, organizer: OrganizerDep, room: RoomDep
) -> HTMLResponse:
    """Show an empty form for a new entry."""
    edit = _opened(room, kind_name, "", None)
    _require_adding(edit)
    edit.typed.values["name"] = ""
    return _form(request, organizer, room, edit)


@router.post("/{kind_name}")
def post_new(
    kind_name: str, request: Request, organizer: OrganizingDep, typed: TypedDep, room: RoomDep
) -> Response:
    """Look at a new entry, or make it."""
    name = typed.wants("name", "a short name in lower-case letters, digits and -")
    edit = _opened(room, kind_name, name, typed)
    _require_adding(edit)
    if not edit.is_new and typed["agreed"] != "yes":
        typed.faults["name"] = "There is one of this name already; choose another name."
        return _form(request, organizer, room, edit)
    return _sent(request, organizer, room, edit)


@router.get("/{kind_name}/{name}")
def get_entry(
    kind_name: str, name: str, request: Request, organizer: OrganizerDep, room: RoomDep
) -> HTMLResponse:
    """Show an entry as a form."""
    edit = _opened(room, kind_name, name, None)
    if edit.is_new and edit.kind.can_add:
        raise NoSuchThing("There is no such entry.")
    return _form(request, organizer, room, edit)


@router.post("/{kind_name}/{name}")
def post_entry(
    kind_name: str, name: str, request: Request, *, organizer: OrganizingDep, typed: TypedDep,
    room: RoomDep,
) -> Response:  # fmt: skip
    """Look at a change, or make it."""
    return _sent(request, organizer, room, _opened(room, kind_name, name, typed))


def _opened(room: Room, kind_name: str, name: str, typed: Typed | None) -> Edit:
    books = room.books
    # Another process may have changed it: what is shown and compared is what holds now.
    books.reload_rules()
    kind = KINDS.get(kind_name)
    if kind is None or not kind.is_known(books.lab, name):
        raise NoSuchThing("There is no such entry.")
    fields, tag = kind.fields(books.lab), entry_tag(books.lab, kind.part, name)
    now = {} if tag == "absent" else entry_body(books.lab, kind.part, name)
    if typed is None:
        typed = typed_of(fields, now, tag)
    return Edit(kind_name=kind_name, kind=kind, name=name, fields=fields, now=now, tag=tag,
                typed=typed)  # fmt: skip


def _require_adding(edit: Edit) -> None:
    if not edit.kind.can_add:
        raise NoSuchThing("There is no such page.")
    edit.is_adding = True


def _sent(request: Request, organizer: Visitor, room: Room, edit: Edit) -> Response:
    typed = edit.typed
    reason = typed.wants("reason", "why; it stands in the audit trail")
    with typed.finding({BadText: "reason"}):
        check_text(reason, "The reason")
    body = None
    if not (typed["remove"] == "yes" and edit.kind.can_remove):
        body = body_of(edit.fields, typed, edit.now)
    if typed.is_good and typed["agreed"] == "yes":
        # Whether it is stale the books decide: what was sent twice is not.
        _make(room, organizer, edit, body, reason)
        if typed.is_good:
            return done(room, _page_of(edit), f"{edit.name} is changed. It holds at once.")
    elif typed["tag"] != edit.tag:
        _note_stale(edit)
    if not typed.is_good or typed["agreed"] == "back":
        return _form(request, organizer, room, edit)
    return _preview(request, organizer, room, edit, body)


def _make(
    room: Room, organizer: Visitor, edit: Edit, body: dict[str, Any] | None, reason: str
) -> None:
    if body is None and edit.is_new:
        return  # taken away already
    try:
        Office(room.books).change_rule(edit.kind.part, edit.name, body, tag=edit.typed["tag"],
                                       by=organizer.access.by, reason=reason)  # fmt: skip
    except BadRule as refusal:
        blame(edit.fields, refusal, edit.kind.part, edit.name, edit.typed)
    except StaleEdit:
        room.books.reload_rules()
        edit.tag = entry_tag(room.books.lab, edit.kind.part, edit.name)
        edit.now = {}
        if edit.tag != "absent":
            edit.now = entry_body(room.books.lab, edit.kind.part, edit.name)
        _note_stale(edit)


def _note_stale(edit: Edit) -> None:
    edit.is_stale = True
    edit.typed.values["tag"] = edit.tag
    edit.typed.faults[""] = _STALE


def _preview(
    request: Request, organizer: Visitor, room: Room, edit: Edit, body: dict[str, Any] | None
) -> Response:
    """Show what would change, and for whom."""
    lab, change = room.books.lab, Amendment(part=edit.kind.part, name=edit.name, body=body,
                                            version=0)  # fmt: skip
    try:
        after = amended(lab, [change])
    except BadRule as refusal:
        blame(edit.fields, refusal, edit.kind.part, edit.name, edit.typed)
        return _form(request, organizer, room, edit)
    affected = _affected(hours_changes(lab, after, room.books.clock.now()))
    new = None if body is None else entry_body(after, edit.kind.part, edit.name)
    return room.looks.page(
        request, "program_preview.html", organizer, edit=edit, is_removal=body is None,
        changes=shown_changes(edit.fields, edit.now, new), affected=affected[:_AFFECTED_MOST],
        affected_count=len(affected),
    )  # fmt: skip


def _affected(changes: Sequence[HoursChange]) -> list[Affected]:
    by_scholar: dict[str, list[HoursChange]] = {}
    for one in changes:
        by_scholar.setdefault(one.scholar, []).append(one)
    return [
        Affected(
            scholar=who, section=some[0].section, later=[x for x in some if not x.is_running],
            running=next((x for x in some if x.is_running), None),
        )
        for who, some in by_scholar.items()
    ]  # fmt: skip


def _form(request: Request, organizer: Visitor, room: Room, edit: Edit) -> HTMLResponse:
    return room.looks.page(request, "program_entry.html", organizer, edit=edit,
                           typed=edit.typed,
                           status=room.looks.typed_status(edit.typed))  # fmt: skip


def _page_of(edit: Edit) -> str:
    return f"{edit.kind.page}/{edit.name}" if edit.kind_name == "scholars" else edit.kind.page
