"""Hours for many at once: chosen from a list or from a CSV, tried with a diff, then confirmed."""

import csv
import io
from collections.abc import Sequence
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, Response

from api.bulk import SentBulk, carry_out, try_out
from api.exports import csv_text
from api.pages.forms import Typed, TypedDep, blank
from api.pages.program.desk import OrganizerDep, OrganizingDep, done, last_day
from api.pages.rooms import Room, RoomDep
from api.pages.visitor import Visitor
from api.problems import Problem
from quota.amount import GpuTime
from quota.bulk import RowFault, read_csv
from quota.errors import NoSuchThing
from quota.listings import given_in_bulk
from quota.office import Office
from quota.standings import Standing, lab_standing
from quota.views import GrantView

router = APIRouter(prefix="/program/grants")

BULK_PAGE = "/program/grants/bulk"
_COLUMNS = ("account", "hours", "reason")


@router.get("/bulk")
def get_bulk(
    request: Request, organizer: OrganizerDep, room: RoomDep,
    section: Annotated[str, Query(max_length=64)] = "",
) -> HTMLResponse:  # fmt: skip
    """Show whom hours can be given to."""
    return _choosing(request, organizer, room, blank(section=section, source="people"))


@router.post("/bulk")
def post_bulk(
    request: Request, organizer: OrganizingDep, typed: TypedDep, room: RoomDep
) -> Response:
    """Show what would be given; once that was seen, give it."""
    if typed["source"] == "people":
        _write_rows(typed)
    until = last_day(typed, "until", ZoneInfo("UTC"))
    rows, faults = read_csv(typed["csv"], until=until)
    if typed["agreed"] == "back" or not typed.is_good:
        return _choosing(request, organizer, room, typed)
    if not rows and not faults:
        faults = [RowFault(line=2, account="", what="there is no row")]
    sent = SentBulk(id=typed.id(), hub_id=room.books.hub_id, rows=rows, faults=faults)
    if typed["agreed"] != "yes":
        return _trial(request, organizer, room, typed, sent)
    try:
        given = carry_out(Office(room.books), sent, typed["trial"], by=organizer.access.by)
    except Problem:
        # It is not what was tried: shown again, so that it can be looked at.
        return _trial(request, organizer, room, typed, sent)
    word = f"{given.count} people got {given.total_hours} GPU-hours in all."
    return done(room, f"program/grants/bulk/{sent.id}", word)


@router.get("/bulk/{bulk_id}")
def get_result(
    bulk_id: UUID, request: Request, organizer: OrganizerDep, room: RoomDep
) -> HTMLResponse:
    """Show what a bulk grant gave."""
    return room.looks.page(request, "program_bulk_done.html", organizer, bulk_id=bulk_id,
                           grants=_given(room, bulk_id))  # fmt: skip


@router.get("/bulk/{bulk_id}/result.csv")
def get_result_csv(bulk_id: UUID, organizer: OrganizerDep, room: RoomDep) -> Response:
    """Send what a bulk grant gave as CSV."""
    assert organizer.access.is_organizer
    rows = [(one.account, one.amount.text(), one.reason, one.starts_at.isoformat(),
             one.ends_at.isoformat(), one.author, str(one.id))
            for one in _given(room, bulk_id)]  # fmt: skip
    head = ("account", "hours", "reason", "given_at", "until", "by", "id")
    name = f'attachment; filename="grants-{bulk_id}.csv"'
    return Response(csv_text([head, *rows]), media_type="text/csv; charset=utf-8",
                    headers={"Content-Disposition": name})  # fmt: skip


def _given(room: Room, bulk_id: UUID) -> list[GrantView]:
    found = given_in_bulk(room.books, bulk_id)
    if not found:
        raise NoSuchThing("No bulk grant has this number.")
    return found


def _write_rows(typed: Typed) -> None:
    """Turn the people who were chosen into the CSV that is tried."""
    hours, reason = typed.wants("hours", "how many hours"), typed.wants("reason", "what for")
    names = typed.all_of("who")
    if not names:
        typed.faults["who"] = "Choose somebody."
    text = io.StringIO()
    # Each line as it was typed: it is read again, by us, and opened in no spreadsheet.
    csv.writer(text, lineterminator="\n").writerows(
        [_COLUMNS, *((name, hours, reason) for name in names)]
    )
    if typed.is_good:
        typed.values["csv"] = text.getvalue()


def _choosing(request: Request, organizer: Visitor, room: Room, typed: Typed) -> HTMLResponse:
    section = typed["section"]
    if section and section not in room.books.lab.sections:
        raise NoSuchThing("There is no such section.")
    people: Sequence[Standing] = ()
    if section:
        people = lab_standing(room.books, section=section).people
    return room.looks.page(
        request, "program_bulk.html", organizer, typed=typed, people=people,
        chosen=set(typed.all_of("who")), sections=room.books.lab.sections,
        status=room.looks.typed_status(typed),
    )  # fmt: skip


def _trial(
    request: Request, organizer: Visitor, room: Room, typed: Typed, sent: SentBulk
) -> HTMLResponse:
    trial = try_out(Office(room.books), sent)
    typed.values["trial"] = trial.token or ""
    changes = [(one.account, one.hours, GpuTime(one.available_before_mgpu_ms),
                GpuTime(one.available_after_mgpu_ms)) for one in trial.changes]  # fmt: skip
    return room.looks.page(request, "program_bulk_trial.html", organizer, typed=typed,
                           trial=trial, changes=changes,
                           status=422 if trial.faults else 200)  # fmt: skip
