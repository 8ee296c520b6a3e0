"""What a change of the rules would mean for people, before it is made. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from quota.amount import GpuTime
from quota.calendar import Week, week_after, week_at, week_from, weeks_of
from quota.entitlement import boosts_of, entitlement
from quota.lab import Lab
from quota.lab_people import Section


@dataclass(frozen=True, slots=True, kw_only=True)
class HoursChange:
    """What a week gives somebody before and after; without a section it gives nothing."""

    scholar: str
    section: str
    week: Week
    is_running: bool
    before: GpuTime
    after: GpuTime


def hours_changes(before: Lab, after: Lab, now: datetime) -> tuple[HoursChange, ...]:
    """List whose hours would change in the week that runs and in all that follow."""
    names = sorted({*before.roster, *after.roster})
    return tuple(one for name in names for one in _changes_of(name, before, after, now))


def _changes_of(name: str, before: Lab, after: Lab, now: datetime) -> Iterator[HoursChange]:
    section = after.section_of(name) or before.section_of(name)
    if section is None:
        return
    lab = after if after.section_of(name) is not None else before
    for week in _weeks_ahead(lab, section, now):
        old, new = _hours(before, name, week), _hours(after, name, week)
        if old != new:
            yield HoursChange(scholar=name, section=section.name, week=week, before=old,
                              after=new, is_running=week.starts_at <= now)  # fmt: skip


def _weeks_ahead(lab: Lab, section: Section, now: datetime) -> list[Week]:
    """List the week that runs and those after it; without a program they are all alike."""
    if lab.program is not None:
        return [week for week in weeks_of(lab.program, section.zone) if week.ends_at > now]
    first = week_at(None, section.zone, now) or week_from(None, section.zone, now)
    following = None if first is None else week_after(None, section.zone, first)
    return [week for week in (first, following) if week is not None]


def _hours(lab: Lab, name: str, week: Week) -> GpuTime:
    """Return what a week gives: its allowance, and the extra hours of what is due in it."""
    section = lab.section_of(name)
    if section is None:
        return GpuTime.ZERO
    extra = GpuTime.total(
        due.hours for due in boosts_of(lab, section, name)
        if week.starts_at < due.due_at <= week.ends_at
    )  # fmt: skip
    return entitlement(lab, section, name, week).hours + extra
