"""What stands in a section's calendar, as instants: due dates, weekly hours, blackouts. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Generic, TypeVar
from zoneinfo import ZoneInfo

from quota.amount import GpuTime
from quota.calendar import days_later, local_instant, midnight
from quota.lab import Lab
from quota.lab_fields import WEEKDAYS, WeeklyHours
from quota.lab_people import Section

T = TypeVar("T")

# Extra hours come so many days before something is due if lab.yaml does not say when.
_HOURS_COME_DAYS_BEFORE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Half-open interval of instants with a name: [starts_at, ends_at)."""

    name: str
    title: str
    starts_at: datetime
    ends_at: datetime

    def covers(self, at: datetime) -> bool:
        """Tell whether an instant lies inside."""
        return self.starts_at <= at < self.ends_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """Something that is due in a section, with the extra hours in the window before it."""

    name: str
    title: str
    due_at: datetime
    hours: GpuTime
    hours_from: datetime
    is_optional: bool


def due_in(lab: Lab, section: Section) -> tuple[Due, ...]:
    """List what is due in a section, in the order of the due instants."""
    # Asked for whenever an account is settled, and the same until the rules change.
    return _due_in(Same(lab), Same(section)) if lab.due_dates else ()


class Same(Generic[T]):
    """A key that is equal for the very same object only: labs cannot be hashed, nor change."""

    def __init__(self, value: T) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.value is other.value


@lru_cache(maxsize=256)
def _due_in(of_lab: Same[Lab], of_section: Same[Section]) -> tuple[Due, ...]:
    lab, section = of_lab.value, of_section.value
    found = [
        _due(lab, section, name)
        for name, one in lab.due_dates.items()
        if not one.sections or section.name in one.sections
    ]
    return tuple(sorted(found, key=lambda due: (due.due_at, due.name)))


def blackouts(lab: Lab) -> tuple[Window, ...]:
    """List the times in which the GPUs are closed, in order."""
    found = []
    for name, one in lab.blackouts.items():
        zone = ZoneInfo(one.time_zone)
        starts_at, ends_at = local_instant(one.starts, zone), local_instant(one.ends, zone)
        if starts_at < ends_at:
            found.append(Window(name=name, title=one.title, starts_at=starts_at, ends_at=ends_at))
    return tuple(sorted(found, key=lambda window: (window.starts_at, window.name)))


def weekly(
    hours: Sequence[WeeklyHours], zone: ZoneInfo, title: str, start: datetime, end: datetime
) -> Iterator[Window]:
    """List the comings of weekly hours that begin in [start, end), in order."""
    day = start.astimezone(zone).date()
    found = []
    while midnight(day, zone) < end:
        for one in hours:
            if WEEKDAYS[day.weekday()] == one.day:
                opens, closes = (_at_minute(day, m, zone) for m in (one.starts, one.ends))
                if opens < closes and start <= opens < end:
                    found.append(
                        Window(name=one.day, title=title, starts_at=opens, ends_at=closes)
                    )
        day = days_later(day, 1)
    yield from sorted(found, key=lambda window: (window.starts_at, window.ends_at))


def co_working(section: Section, start: datetime, end: datetime) -> tuple[Window, ...]:
    """List the co-working hours of a section that begin in [start, end)."""
    title = f"Co-working hours of {section.title or section.name}"
    return tuple(weekly(section.co_working, section.zone, title, start, end))


def office_hours(lab: Lab, ta: str, start: datetime, end: datetime) -> tuple[Window, ...]:
    """List the office hours of a TA that begin in [start, end)."""
    own = lab.tas.get(ta)
    if own is None:
        return ()
    return tuple(weekly(own.office_hours, ta_zone(lab, ta), f"Office hours of {ta}", start, end))


def ta_zone(lab: Lab, ta: str) -> ZoneInfo:
    """Return the zone of a TA's hours and weeks: the TA's own, else the first section's."""
    own = lab.tas.get(ta)
    if own is not None and own.time_zone is not None:
        return ZoneInfo(own.time_zone)
    sections = lab.sections_of_ta(ta)
    return sections[0].zone if sections else ZoneInfo("UTC")


def _due(lab: Lab, section: Section, name: str) -> Due:
    one, zone = lab.due_dates[name], section.zone
    from_day = one.hours_from or days_later(one.due.date(), -_HOURS_COME_DAYS_BEFORE)
    week = lab.program.week_on(one.due.date()) if lab.program else None
    due_at = local_instant(one.due, zone)
    return Due(
        name=name,
        title=one.title,
        due_at=due_at,
        hours=one.hours,
        hours_from=min(midnight(from_day, zone), due_at - timedelta(milliseconds=1)),
        is_optional=week is not None and week.optional,
    )


def _at_minute(day: date, minute: int, zone: ZoneInfo) -> datetime:
    return local_instant(datetime.combine(day, time()) + timedelta(minutes=minute), zone)
