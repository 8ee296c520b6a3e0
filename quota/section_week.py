"""What a section's calendar shows: weeks, what is due, when people meet, when GPUs are closed."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from quota.agenda import Due, Window, blackouts, co_working, due_in, office_hours
from quota.calendar import Week, week_after, week_at, week_from, weeks_of
from quota.lab import Lab
from quota.lab_people import Section

# Without a program weeks go on for ever; a calendar shows this many ahead.
_WEEKS_AHEAD = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionWeek:
    """One week of a section."""

    section: str
    time_zone: str
    week: Week
    due: tuple[Due, ...]
    co_working: tuple[Window, ...]
    office_hours: tuple[Window, ...]
    blackouts: tuple[Window, ...]


def section_week(lab: Lab, section: Section, at: datetime) -> SectionWeek | None:
    """Return the week that runs at an instant, else the next one; None after the last."""
    week = week_at(lab.program, section.zone, at) or week_from(lab.program, section.zone, at)
    return None if week is None else _filled(lab, section, week)


def section_weeks(lab: Lab, section: Section, now: datetime) -> tuple[SectionWeek, ...]:
    """Return all weeks of the program, or without one this week and the next few."""
    if lab.program is not None:
        found = list(weeks_of(lab.program, section.zone))
    else:
        found = []
        # The week before is kept, so that what has just ended does not vanish at once.
        week = week_at(None, section.zone, now - timedelta(days=7))
        while week is not None and len(found) < _WEEKS_AHEAD + 2:
            found.append(week)
            week = week_after(None, section.zone, week)
    return tuple(_filled(lab, section, week) for week in found)


def _filled(lab: Lab, section: Section, week: Week) -> SectionWeek:
    start, end = week.starts_at, week.ends_at
    return SectionWeek(
        section=section.name,
        time_zone=section.time_zone,
        week=week,
        # What is due at the very end of a week belongs to it.
        due=tuple(due for due in due_in(lab, section) if start < due.due_at <= end),
        co_working=co_working(section, start, end),
        office_hours=tuple(
            window for ta in section.tas for window in office_hours(lab, ta, start, end)
        ),
        blackouts=tuple(
            one for one in blackouts(lab) if one.starts_at < end and one.ends_at > start
        ),
    )
