"""What the rules give a scholar: hours of a week, boosts, what becomes of unused hours. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from quota.agenda import Due, due_in
from quota.amount import GpuTime
from quota.calendar import Week, week_after, week_at, week_numbered
from quota.lab import Lab
from quota.lab_people import Absence, Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Entitlement:
    """So many hours in a week, and which line of the rules says so."""

    hours: GpuTime
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Unused hours of a week that can be used later, within [starts_at, ends_at)."""

    key: str
    source: str
    hours: GpuTime
    starts_at: datetime
    ends_at: datetime
    because: str


def entitlement(lab: Lab, section: Section, scholar: str, week: Week) -> Entitlement:
    """Return what a week gives a scholar; the most special rule counts."""
    planned = lab.program.week(week.number) if lab.program and week.number else None
    if planned is not None and planned.optional and lab.has_opted_out(scholar):
        return Entitlement(hours=GpuTime.ZERO, because=f"opted out of {_label(week)}")
    own = lab.scholars[scholar].hours_per_week if scholar in lab.scholars else None
    if own is not None:
        return Entitlement(hours=own, because=f"{_label(week)}, set for {scholar}")
    if week.number in section.hours_in_weeks:
        hours = section.hours_in_weeks[week.number]
        return Entitlement(hours=hours, because=f"{_label(week)} of section {section.name}")
    if planned is not None and planned.hours is not None:
        return Entitlement(hours=planned.hours, because=f"{_label(week)} of the program")
    because = f"{_label(week)} of section {section.name}"
    return Entitlement(hours=section.hours_per_week, because=because)


def current_week(lab: Lab, section: Section | None, now: datetime) -> Week | None:
    """Return the week that is running in the section, or None outside the program."""
    return None if section is None else week_at(lab.program, section.zone, now)


def next_allowance(
    lab: Lab, section: Section | None, scholar: str, now: datetime
) -> tuple[datetime, GpuTime] | None:
    """Return when the next week begins and what it will give; None when no week follows."""
    week = current_week(lab, section, now)
    if section is None or week is None:
        return None
    following = week_after(lab.program, section.zone, week)
    if following is None:
        return None
    return following.starts_at, entitlement(lab, section, scholar, following).hours


def boosts_of(lab: Lab, section: Section, scholar: str) -> tuple[Due, ...]:
    """Return the due dates that give a scholar extra hours at some time."""
    has_opted_out = lab.has_opted_out(scholar)
    return tuple(
        due
        for due in due_in(lab, section)
        if due.hours and not (due.is_optional and has_opted_out)
    )


def boosts_at(lab: Lab, section: Section, scholar: str, at: datetime) -> tuple[Due, ...]:
    """Return the due dates whose extra hours a scholar can use at an instant."""
    every = boosts_of(lab, section, scholar)
    return tuple(due for due in every if due.hours_from <= at < due.due_at)


def keeps_hours(lab: Lab, scholar: str) -> bool:
    """Tell whether hours that a scholar does not use in a week may be used later."""
    return lab.roll_over.percent > 0 or bool(_absences(lab, scholar))


def kept_of(
    lab: Lab, section: Section, scholar: str, week: Week, unused: GpuTime
) -> tuple[Kept, ...]:
    """Split what a week left unused: to the weeks of an absence, else by the roll-over rule."""
    if unused <= GpuTime.ZERO:
        return ()
    for absence in _absences(lab, scholar):
        if absence.week == week.number:
            return tuple(_moved(lab, section, absence, unused))
    return _rolled(lab, section, week, unused)


def _moved(lab: Lab, section: Section, absence: Absence, unused: GpuTime) -> Iterator[Kept]:
    numbers = sorted(set(absence.use_in))
    share = unused.mgpu_ms // len(numbers)
    for place, number in enumerate(numbers):
        week = week_numbered(lab.program, section.zone, number)
        if week is None:
            continue
        hours = GpuTime(share if place else unused.mgpu_ms - share * (len(numbers) - 1))
        if hours:
            yield Kept(
                key=f"absence:{absence.week}:{number}", source="absence", hours=hours,
                starts_at=week.starts_at, ends_at=week.ends_at,
                because=f"unused in week {absence.week}, when you were away",
            )  # fmt: skip


def _rolled(lab: Lab, section: Section, week: Week, unused: GpuTime) -> tuple[Kept, ...]:
    rule = lab.roll_over
    hours = min(GpuTime(unused.mgpu_ms * rule.percent // 100), rule.most_hours)
    first = week_after(lab.program, section.zone, week)
    if not hours or first is None:
        return ()
    last = first
    for _ in range(rule.lasts_weeks - 1):
        last = week_after(lab.program, section.zone, last) or last
    return (
        Kept(
            key=f"roll_over:{week.starts_at.isoformat()}", source="roll_over", hours=hours,
            starts_at=first.starts_at, ends_at=last.ends_at,
            because=f"{rule.percent} % of what was unused in {_label(week)}",
        ),
    )  # fmt: skip


def _absences(lab: Lab, scholar: str) -> tuple[Absence, ...]:
    return lab.scholars[scholar].absences if scholar in lab.scholars else ()


def _label(week: Week) -> str:
    return f"week {week.number}" if week.number is not None else "weekly allowance"
