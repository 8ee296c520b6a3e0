"""Calendars: a section's week, and all of its weeks as iCalendar."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import AwareDatetime

from api import schemas
from api.access import AccessDep, no_such_section
from api.bridge_office import section_week_out
from api.deps import BooksDep
from api.ical import section_calendar
from api.schemas_office import SectionWeekOut
from quota.errors import NoSuchThing
from quota.section_week import section_week

router = APIRouter(prefix="/v1", tags=["calendars"])

SectionName = Annotated[schemas.ShortName, Path()]
_ICS = "text/calendar"
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": {_ICS: {"schema": {"type": "string"}}}}
}


@router.get("/calendars/{section}.ics", responses=_RESPONSES, response_class=Response)
def get_calendar(section: SectionName, access: AccessDep, books: BooksDep) -> Response:
    """Subscribe to a section's weeks, due dates, co-working and office hours, and blackouts."""
    access.require_calendar(section)
    return Response(section_calendar(books, section), media_type=f"{_ICS}; charset=utf-8")


@router.get("/week/{section}")
def get_week(
    section: SectionName, access: AccessDep, books: BooksDep,
    at: Annotated[AwareDatetime | None, Query(description="Which week; now if left out.")] = None,
) -> SectionWeekOut:  # fmt: skip
    """See the week of a section that runs at an instant, or the next one."""
    access.require_calendar(section)
    found = access.lab.sections.get(section)
    if found is None:
        raise no_such_section()
    week = section_week(access.lab, found, at or books.clock.now())
    if week is None:
        raise NoSuchThing("No week of the program is running then, and none follows.")
    return section_week_out(week)
