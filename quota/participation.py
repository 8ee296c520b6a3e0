"""Who takes part: week by week, what an organizer needs to decide who completed the program.

A week is active when a session was started in it, on a GPU or not. Nothing here is a grade.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from quota import listings
from quota.amount import GpuTime
from quota.calendar import Week, weeks_of
from quota.errors import NoSuchThing
from quota.lab import Lab
from quota.lab_people import Section
from quota.lab_program import Program
from quota.service import Books
from quota.store import usage, weeks
from quota.store.engine import reading

WeekState = Literal["active", "absent", "away", "opted_out", "to_come"]
FinalProject = Literal["taken", "not_taken", "opted_out", "to_come", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WeekMark:
    """One scholar's week. `away` was said beforehand, `absent` was not."""

    number: int
    state: WeekState
    sessions: int
    used: GpuTime


@dataclass(frozen=True, slots=True, kw_only=True)
class Participation:
    """One scholar in the program, so far."""

    name: str
    section: str
    weeks: tuple[WeekMark, ...]
    labs_passed: tuple[str, ...]
    final_project: FinalProject

    @property
    def active(self) -> int:
        """Count the active weeks."""
        return sum(one.state == "active" for one in self.weeks)

    @property
    def missed(self) -> int:
        """Count the weeks without a session and without a word."""
        return sum(one.state == "absent" for one in self.weeks)


def participation(
    books: Books, *, section: str | None = None, name: str | None = None
) -> list[Participation]:
    """Tell how everybody takes part, or one section, or one scholar.

    Raises:
        NoSuchThing: there is no such section, or the lab has no program with weeks.

    """
    lab = books.lab
    if lab.program is None:
        raise NoSuchThing("The lab has no program: participation is told by its weeks.")
    chosen = lab.sections.values() if section is None else [lab.section_named(section)]
    everybody = listings.account_names(books)
    found: list[Participation] = []
    for one in chosen:
        names = [who for who in everybody
                 if name in (None, who) and lab.section_name_of(who) == one.name]  # fmt: skip
        if names:
            found += _of_section(books, lab.program, one, names)
    return sorted(found, key=lambda one: (one.section, one.name))


def _of_section(
    books: Books, program: Program, section: Section, names: Sequence[str]
) -> list[Participation]:
    now, spans = books.clock.now(), weeks_of(program, section.zone)
    with reading(books.engine) as tx:
        starts = weeks.starts_since(tx, books.hub_id, spans[0].starts_at, names)
        used = {
            week: usage.usage_sums(tx, books.hub_id, week.starts_at, week.ends_at, names)
            for week in spans if week.starts_at <= now
        }  # fmt: skip
    passed: dict[str, list[str]] = {}
    for who, lab in listings.passed_labs(books, names):
        passed.setdefault(who, []).append(lab.name)
    found = []
    for name in names:
        marks = tuple(
            _mark(books.lab, name, week, now=now, starts=starts[name],
                  used=used.get(week, {}).get(name, GpuTime.ZERO))
            for week in spans
        )  # fmt: skip
        found.append(Participation(
            name=name, section=section.name, weeks=marks, labs_passed=tuple(passed.get(name, ())),
            final_project=final_project(program, marks),
        ))  # fmt: skip
    return found


def _mark(
    lab: Lab, name: str, week: Week, *, now: datetime, starts: Sequence[datetime], used: GpuTime
) -> WeekMark:
    assert week.number is not None, "weeks of a program have numbers"
    sessions = bisect_left(starts, week.ends_at) - bisect_left(starts, week.starts_at)
    state = _state(lab, name, week, now=now, is_active=bool(sessions or used.mgpu_ms))
    return WeekMark(number=week.number, state=state, sessions=sessions, used=used)


def _state(lab: Lab, name: str, week: Week, *, now: datetime, is_active: bool) -> WeekState:
    if is_active:
        return "active"
    scholar = lab.scholars.get(name)
    planned = lab.program.week(week.number) if lab.program and week.number else None
    if planned is not None and planned.optional and lab.has_opted_out(name):
        return "opted_out"
    if scholar is not None and any(one.week == week.number for one in scholar.absences):
        return "away"
    return "absent" if week.ends_at <= now else "to_come"


def final_project(program: Program, marks: Iterable[WeekMark]) -> FinalProject:
    """Tell what became of the optional weeks, which are the final project."""
    optional = {week.number for week in program.weeks if week.optional}
    states: Mapping[str, bool] = {one.state: True for one in marks if one.number in optional}
    if not states:
        return "none"
    order: tuple[tuple[WeekState, FinalProject], ...] = (
        ("active", "taken"), ("opted_out", "opted_out"), ("to_come", "to_come"),
    )  # fmt: skip
    return next((said for state, said in order if state in states), "not_taken")
