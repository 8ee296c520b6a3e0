"""Weeks in a section's time zone: all date arithmetic of the lab. Pure.

A week is a half-open interval of instants between two local midnights. Where the clocks change in
between it has 167 or 169 hours (or 167.5, or six days where a whole day was skipped), and the next
one always starts at the instant at which it ends.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias
from zoneinfo import ZoneInfo

if TYPE_CHECKING:  # `quota.lab` takes its dates from here
    from quota.lab_program import Program

DAYS_PER_WEEK = 7

# From the line of dates all the way round.
_ZONES_APART = timedelta(hours=26)

Span: TypeAlias = tuple[int, str, date, date]
"""Number, topic, first and last day of a week of the program."""


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
    return next((w for w in weeks_of(program, zone) if w.starts_at <= at < w.ends_at), None)


def week_from(program: "Program | None", zone: ZoneInfo, at: datetime) -> Week | None:
    """Return the first week that starts at an instant or later; None when there is none."""
    if program is None:
        week = _plain_week_at(zone, at)
        return week if week.starts_at == at else _plain_week_at(zone, week.ends_at)
    return next((w for w in weeks_of(program, zone) if w.starts_at >= at), None)


def week_after(program: "Program | None", zone: ZoneInfo, week: Week) -> Week | None:
    """Return the week that follows; None after the last of the program."""
    return week_from(program, zone, week.ends_at)


def same_week(program: "Program | None", zone: ZoneInfo, began_at: datetime) -> Week | None:
    """Return the week that began at an instant, here or in another zone.

    Who moves to another section takes the running week along: it is the one that begins nearest.
    """
    here = week_at(program, zone, began_at)
    if here is not None and here.starts_at == began_at:
        return here
    near = [week for week in (here, week_from(program, zone, began_at)) if week is not None]
    nearest = min(near, key=lambda week: abs(week.starts_at - began_at), default=None)
    if nearest is None or abs(nearest.starts_at - began_at) > _ZONES_APART:
        return here  # the calendar itself was changed
    return nearest


def weeks_of(program: "Program", zone: ZoneInfo) -> tuple[Week, ...]:
    """Return all weeks of a program as they fall in a zone."""
    return _weeks(program.spans, zone)


def week_numbered(program: "Program | None", zone: ZoneInfo, number: int) -> Week | None:
    """Return the week of a number; None when the program has none."""
    if program is None:
        return None
    return next((week for week in weeks_of(program, zone) if week.number == number), None)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return the instant at which a local day begins, in UTC.

    Where the clocks jump from midnight on, that is the jump; where midnight comes twice, the
    first. A day that a zone skipped altogether begins when the next one does.
    """
    # fold=0 reads a time that was skipped by the offset before the jump, which is the jump itself.
    return datetime.combine(day, time(), zone).astimezone(UTC)


def local_instant(at: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant of a day and time on the clocks of a zone, in UTC.

    A time that the clocks skip is the moment of the jump; one that comes twice, its first coming.
    """
    wanted = at.replace(tzinfo=zone, fold=0)
    instant = wanted.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == at:
        return instant
    # In the gap the offset before the jump puts it as far behind the jump as it stands in the gap.
    after = at.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return _first_jump(after, instant, zone)


def days_later(day: date, days: int) -> date:
    """Count on from a day; a negative number counts back.

    Raises:
        ValueError: beyond the years 1 to 9999.

    """
    try:
        return day + timedelta(days=days)
    except OverflowError as error:
        raise ValueError(f"there is no day {days} days from {day}") from error


def _first_jump(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """Find the instant in (low, high] at which the zone's offset changes, to the second."""
    before = low.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)


@lru_cache(maxsize=1024)
def _weeks(spans: tuple[Span, ...], zone: ZoneInfo) -> tuple[Week, ...]:
    weeks = (
        Week(number, topic, midnight(starts_on, zone), midnight(days_later(ends_on, 1), zone))
        for number, topic, starts_on, ends_on in spans
    )
    # A week of one day that the zone skipped never happens there.
    return tuple(week for week in weeks if week.starts_at < week.ends_at)


def _plain_week_at(zone: ZoneInfo, at: datetime) -> Week:
    """Return the week from Monday to Monday that an instant lies in."""
    today = at.astimezone(zone).date()
    monday = days_later(today, -today.weekday())
    week = _plain_week(zone, monday)
    # Clocks set back across midnight show Sunday again after Monday has begun, and a jump from
    # before midnight to after it (Toronto, 1919) shows Monday before it has.
    if at < week.starts_at:
        return _plain_week(zone, days_later(monday, -DAYS_PER_WEEK))
    if at >= week.ends_at:
        return _plain_week(zone, days_later(monday, DAYS_PER_WEEK))
    return week


# Asked for several times in each use case, nearly always for the same week.
@lru_cache(maxsize=1024)
def _plain_week(zone: ZoneInfo, monday: date) -> Week:
    next_monday = days_later(monday, DAYS_PER_WEEK)
    return Week(None, None, midnight(monday, zone), midnight(next_monday, zone))
