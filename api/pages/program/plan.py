"""What the rules give when: hours by section and week, the calendar."""

from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from api.pages.program.desk import OrganizerDep
from api.pages.rooms import RoomDep
from quota.agenda import Window, blackouts
from quota.amount import GpuTime
from quota.lab import Lab
from quota.lab_people import Section
from quota.lab_program import ProgramWeek
from quota.reserving_ahead import Reserving

router = APIRouter(prefix="/program")


@dataclass(frozen=True, slots=True, kw_only=True)
class HoursLine:
    """What one section gives each of its scholars, week by week; `own` marks its own numbers."""

    section: Section
    weeks: list[tuple[GpuTime, bool]]
    differing: list[str]


@router.get("/hours")
def get_hours(request: Request, organizer: OrganizerDep, room: RoomDep) -> HTMLResponse:
    """Show the allowances."""
    lab = room.books.lab
    weeks = lab.program.weeks if lab.program else ()
    return room.looks.page(
        request, "program_hours.html", organizer, weeks=weeks,
        lines=[_line(lab, section, weeks) for section in lab.sections.values()],
    )  # fmt: skip


@router.get("/calendar")
def get_calendar(request: Request, organizer: OrganizerDep, room: RoomDep) -> HTMLResponse:
    """Show weeks, due dates, blackouts, reservations and co-working hours."""
    lab = room.books.lab
    closed: tuple[Window, ...] = blackouts(lab)
    return room.looks.page(
        request, "program_calendar.html", organizer, lab=lab, closed=closed,
        due=sorted(lab.due_dates.values(), key=lambda one: (one.due, one.name)),
        reserved=Reserving(room.books).coming(),
    )  # fmt: skip


def _line(lab: Lab, section: Section, weeks: tuple[ProgramWeek, ...]) -> HoursLine:
    return HoursLine(
        section=section,
        weeks=[_hours(section, week) for week in weeks],
        differing=sorted(
            who for who, own in lab.scholars.items()
            if own.hours_per_week is not None and lab.section_name_of(who) == section.name
        ),
    )  # fmt: skip


def _hours(section: Section, week: ProgramWeek) -> tuple[GpuTime, bool]:
    """Return what a week gives, and whether the section says so itself."""
    if week.number in section.hours_in_weeks:
        return section.hours_in_weeks[week.number], True
    return (section.hours_per_week if week.hours is None else week.hours), False
