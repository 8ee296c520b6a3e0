"""Weeks in a section's time zone: all date arithmetic of the lab. Pure.

A week is a half-open interval of instants between two local midnights. Where the clocks change in
between it has 167 or 169 hours (or 167.5, or six days where a whole day was skipped), and the next
one always starts at the instant at which it ends.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from quota.amount import GpuTime

if TYPE_CHECKING:  # `quota.lab` takes its dates from here
    from quota.lab import Lab, Program, Section

DAYS_PER_WEEK = 7


@dataclass(frozen=True, slots=True)
class Week:
    """[starts_at, ends_at) in UTC; number and topic only where a program gives them."""

    number: int | None
    topic: str | None
    starts_at: datetime
    ends_at: datetime


def week_at(program: "Program | None", zone: ZoneInfo, at: datetime) -> Week | None:
    """Return the week that an instant lies in; None outside the program."""
    if program is None:
        return _plain_week_at(zone, at)
    return next((w for w in _weeks(program, zone) if w.starts_at <= at < w.ends_at), None)


def week_from(program: "Program | None", zone: ZoneInfo, at: datetime) -> Week | None:
    """Return the first week that starts at an instant or later; None when there is none."""
    if program is None:
        week = _plain_week_at(zone, at)
        return week if week.starts_at == at else _plain_week_at(zone, week.ends_at)
    return next((w for w in _weeks(program, zone) if w.starts_at >= at), None)


def week_after(program: "Program | None", zone: ZoneInfo, week: Week) -> Week | None:
    """Return the week that follows; None after the last of the program."""
    return week_from(program, zone, week.ends_at)


def allowance_of(lab: "Lab", section: "Section", week: Week) -> GpuTime:
    """Return what a week gives each scholar of a section."""
    if lab.program is not None and week.number is not None:
        for planned in lab.program.weeks:
            if planned.number == week.number and planned.hours is not None:
                return planned.hours
    return section.hours_per_week


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return the instant at which a local day begins, in UTC.

    Where the clocks jump from midnight on, that is the jump; where midnight comes twice, the
    first. A day that a zone skipped altogether begins when the next one does.
    """
    # fold=0 reads a time that was skipped by the offset before the jump, which is the jump itself.
    return datetime.combine(day, time(), zone).astimezone(UTC)


def days_later(day: date, days: int) -> date:
    """Count on from a day; a negative number counts back.

    Raises:
        ValueError: beyond the years 1 to 9999.

    """
    try:
        return day + timedelta(days=days)
    except OverflowError as error:
        raise ValueError(f"there is no day {days} days from {day}") from error


def _weeks(program: "Program", zone: ZoneInfo) -> Iterator[Week]:
    for planned in program.weeks:
        starts_at = midnight(planned.starts_on, zone)
        ends_at = midnight(days_later(planned.ends_on, 1), zone)
        if starts_at < ends_at:  # a week of one day that the zone skipped never happens there
            yield Week(planned.number, planned.topic, starts_at, ends_at)


def _plain_week_at(zone: ZoneInfo, at: datetime) -> Week:
    """Return the week from Monday to Monday that an instant lies in."""
    today = at.astimezone(zone).date()
    monday = days_later(today, -today.weekday())
    # Clocks set back across midnight show Sunday again after Monday has begun, and a jump from
    # before midnight to after it (Toronto, 1919) shows Monday before it has.
    if at < midnight(monday, zone):
        monday = days_later(monday, -DAYS_PER_WEEK)
    elif at >= midnight(days_later(monday, DAYS_PER_WEEK), zone):
        monday = days_later(monday, DAYS_PER_WEEK)
    next_monday = days_later(monday, DAYS_PER_WEEK)
    return Week(None, None, midnight(monday, zone), midnight(next_monday, zone))
