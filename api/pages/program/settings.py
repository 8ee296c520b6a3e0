"""The numbers in force, what was changed above lab.yaml, and both as a patch of the file."""

from dataclasses import dataclass

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import HTMLResponse, Response

from api.pages.program.desk import OrganizerDep
from api.pages.rooms import Room, RoomDep
from api.problems import Problem
from quota.emergency_books import Emergencies
from quota.lab_file import MOST_BYTES
from quota.lab_patch import parts_text, patch_of

router = APIRouter(prefix="/program/settings")


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """One number of the rules, what it means, and whether it is the default."""

    name: str
    meaning: str
    value: str
    is_default: bool


@router.get("")
def get_settings(request: Request, organizer: OrganizerDep, room: RoomDep) -> HTMLResponse:
    """Show the numbers in force."""
    rules, lab = room.books.rules, room.books.lab
    tables = [("Policy", _numbers(lab.policy)), ("Idle sessions", _numbers(lab.idle)),
              ("Waiting line", _numbers(lab.line)),
              ("Unused hours", _numbers(lab.roll_over))]  # fmt: skip
    return room.looks.page(
        request, "program_settings.html", organizer, tables=tables, lab=lab,
        amendments=rules.amendments, left_out=rules.left_out,
        emergencies=Emergencies(room.books).newest(),
        emergency=Emergencies(room.books).open_now(),
    )  # fmt: skip


@router.get("/lab.patch")
def get_patch(organizer: OrganizerDep, room: RoomDep) -> Response:
    """Send what was changed as a patch of lab.yaml."""
    assert organizer.access.is_organizer
    patch = _patch(room)
    if patch is None:
        raise Problem(409, "no_patch", "There is no patch of this file",
                      "The file is written in a way in which the changes cannot be put into it "
                      "with certainty. Download the changed entries instead, and put them in "
                      "by hand.")  # fmt: skip
    return _file(patch, "lab.patch", "text/x-diff")


@router.get("/changes.yaml")
def get_changes(organizer: OrganizerDep, room: RoomDep) -> Response:
    """Send the changed entries alone."""
    assert organizer.access.is_organizer
    return _file(parts_text(room.books.rules), "changes.yaml", "application/yaml")


def _numbers(rules: BaseModel) -> list[Number]:
    return [
        Number(
            name=name, meaning=field.description or "", value=_shown(getattr(rules, name)),
            is_default=getattr(rules, name) == field.get_default(call_default_factory=True),
        )
        for name, field in type(rules).model_fields.items()
    ]  # fmt: skip


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(str(one) for one in value)
    return value.text() if hasattr(value, "text") else str(value)


def _patch(room: Room) -> str | None:
    try:
        content = room.lab_file.read_bytes()
        text = content.decode()
    except (OSError, UnicodeDecodeError):
        return None
    if len(content) > MOST_BYTES:
        return None
    return patch_of(text, room.lab_file.name, room.books.rules)


def _file(text: str, name: str, kind: str) -> Response:
    return Response(text, media_type=f"{kind}; charset=utf-8",
                    headers={"Content-Disposition": f'attachment; filename="{name}"'})  # fmt: skip
