"""The report of a week, and who takes part: looked at, and as files that can be sent around."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, Response

from api.exports import csv_text
from api.pages.program.desk import OrganizerDep
from api.pages.rooms import RoomDep
from api.participation_text import participation_heads, participation_row
from api.week_page import week_page
from api.week_text import (
    HOURS_HEADS,
    HOURS_NOTE,
    WAIT_HEADS,
    WAITS_NOTE,
    end_rows,
    gpu_lines,
    hours_cells,
    refund_rows,
    refusal_rows,
    wait_cells,
)
from quota.participation import participation
from quota.service import Books
from quota.week_report import WeekReport, report_of, shown_week

router = APIRouter(prefix="/program")

WeekQuery = Annotated[int | None, Query(ge=1, le=520)]
SectionQuery = Annotated[str, Query(max_length=64)]


@router.get("/report")
def get_report(
    request: Request, organizer: OrganizerDep, room: RoomDep, week: WeekQuery = None
) -> HTMLResponse:
    """Show how a week was, or the one that is running is."""
    report = report_of(room.books, week or shown_week(room.books.lab, room.books.clock.now()))
    return room.looks.page(
        request, "program_report.html", organizer, report=report, chosen=week,
        program=room.books.lab.program, title=report.title, lead=report.lead,
        tables=(
            ("Hours", HOURS_NOTE, HOURS_HEADS, [hours_cells(one) for one in report.sections]),
            ("Waits", WAITS_NOTE, WAIT_HEADS, [wait_cells(one) for one in report.sections]),
        ),
        gpu_lines=gpu_lines(report), refusals=refusal_rows(report), ends=end_rows(report),
        refunds=refund_rows(report),
    )  # fmt: skip


@router.get("/report.html")
def get_report_file(organizer: OrganizerDep, room: RoomDep, week: WeekQuery = None) -> Response:
    """Send the report as one file with charts."""
    assert organizer.access.is_organizer
    report = report_of(room.books, week)
    return _file(week_page(room.books.lab.name, report), "text/html; charset=utf-8",
                 f"{_name(report)}.html")  # fmt: skip


@router.get("/participation")
def get_participation(
    request: Request, organizer: OrganizerDep, room: RoomDep, section: SectionQuery = ""
) -> HTMLResponse:
    """Show who takes part, week by week."""
    heads, rows = _participation(room.books, section)
    return room.looks.page(
        request, "program_participation.html", organizer, heads=heads, rows=rows,
        sections=room.books.lab.sections, chosen=section,
    )  # fmt: skip


@router.get("/participation.csv")
def get_participation_file(
    organizer: OrganizerDep, room: RoomDep, section: SectionQuery = ""
) -> Response:
    """Send who takes part, for a spreadsheet."""
    assert organizer.access.is_organizer
    heads, rows = _participation(room.books, section)
    return _file(csv_text([heads, *rows]), "text/csv; charset=utf-8", "participation.csv")


def _participation(books: Books, section: str) -> tuple[list[str], list[list[str]]]:
    found = participation(books, section=section or None)
    assert books.lab.program is not None, "or it would have refused"
    return participation_heads(books.lab.program), [participation_row(one) for one in found]


def _name(report: WeekReport) -> str:
    if report.number is None:
        return f"week-from-{report.gpus.since:%Y-%m-%d}"
    return f"week-{report.number}"


def _file(text: str, media_type: str, name: str) -> Response:
    # A file to be kept: as a page of the service its own styles would not be allowed.
    return Response(text, media_type=media_type,
                    headers={"Content-Disposition": f'attachment; filename="{name}"'})  # fmt: skip
