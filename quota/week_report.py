"""What a week was like: hours, waits, idle GPUs, refusals, fairness, refunds. See `report_of`.

Weeks begin and end by each section's clocks, so those of one number do not coincide. GPUs and
refusals belong to all sections: for them the week lasts from the first that begins to the last
that ends.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from quota import listings
from quota.amount import MGPU_MS_PER_HOUR, GpuTime
from quota.calendar import Week, week_at, week_numbered, weeks_of
from quota.clock import ms_between
from quota.entitlement import entitlement
from quota.errors import NoSuchThing
from quota.lab import Lab
from quota.lab_people import Section
from quota.placement import FULL_MGPU
from quota.quantiles import quantile
from quota.service import Books
from quota.store import daily, reads, usage, weeks
from quota.store.engine import reading
from quota.store.weeks import Asked, Refunded

# A day longer than weeks of the same number may end apart, all the way round the line of dates.
_NEWS_FOR = timedelta(hours=50)
_NO_WAIT = frozenset({"refused", "taken_up"})
_GAVE_UP = frozenset({"left_line", "not_there", "person", "scholar"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """How long people waited for a GPU; who gave up counts as long as they stayed."""

    asked: int
    at_once: int
    gave_up: int
    p50_s: float
    p95_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionWeekReport:
    """A section's week. `gini` is None where nobody was owed anything, or nobody used any."""

    name: str
    title: str
    week: Week
    scholars: int
    active: int
    owed: GpuTime
    used: GpuTime
    ran_out: int
    waits: Waits
    gini: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GpusReport:
    """What became of the time of the GPUs that are in service now, within [since, until)."""

    since: datetime
    until: datetime
    gpus: int
    possible: GpuTime
    taken: GpuTime
    idle: GpuTime
    """Of what was taken: seen idle, and over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeekReport:
    """One week of the whole lab, or of some sections."""

    number: int | None
    topic: str | None
    sections: tuple[SectionWeekReport, ...]
    gpus: GpusReport
    ends: tuple[tuple[str, int], ...]
    refusals: tuple[tuple[str, int], ...]
    refunds: tuple[Refunded, ...]

    @property
    def used(self) -> GpuTime:
        """The GPU-hours of all sections."""
        return GpuTime.total(one.used for one in self.sections)

    @property
    def owed(self) -> GpuTime:
        """What the week gave to all sections."""
        return GpuTime.total(one.owed for one in self.sections)

    @property
    def title(self) -> str:
        """What the report is called."""
        if self.number is None:
            return f"The week from {self.gpus.since:%d %B %Y}"
        return f"Week {self.number}" + (f": {self.topic}" if self.topic else "")

    @property
    def lead(self) -> str:
        """The week in one sentence."""
        active = sum(one.active for one in self.sections)
        scholars = sum(one.scholars for one in self.sections)
        used, owed = self.used, self.owed
        part = f" ({used.mgpu_ms * 100 // owed.mgpu_ms} %)" if owed.mgpu_ms else ""
        return (f"{used.hours_text()} of {owed.hours_text()} GPU-hours were used{part}; {active} "
                f"of {scholars} scholars had a session.")  # fmt: skip


def report_of(
    books: Books, number: int | None = None, *, section: str | None = None,
    at: datetime | None = None,
) -> WeekReport:  # fmt: skip
    """Report a week by its number, or the one that is running (at `at`); one section's, or all.

    Raises:
        NoSuchThing: there is no such section or week, or none is running.

    """
    chosen = reported_weeks(books.lab, number, section=section, now=at or books.clock.now())
    since = min(week.starts_at for _, week in chosen)
    until = max(week.ends_at for _, week in chosen)
    with reading(books.engine) as tx:
        asked = list(weeks.sessions_of_span(tx, books.hub_id, since, until))
        parts = tuple(_section(tx, books, one, week, asked) for one, week in chosen)
        ours = [one for one in asked if section is None
                or books.lab.section_name_of(one.account) == section]  # fmt: skip
        ends = Counter(one.end_reason or "" for one in ours if one.started_at and one.ended_at
                       and since <= one.ended_at < until)  # fmt: skip
        return WeekReport(
            number=chosen[0][1].number, topic=chosen[0][1].topic, sections=parts,
            gpus=_gpus(tx, books, asked, since, until), ends=tuple(ends.most_common()),
            refusals=_most(daily.counted(tx, books.hub_id, "refused", since, until)),
            refunds=tuple(weeks.refunds_of_span(tx, books.hub_id, since, until)),
        )  # fmt: skip


def reported_weeks(
    lab: Lab, number: int | None, *, section: str | None, now: datetime
) -> list[tuple[Section, Week]]:
    """Return the sections that are reported, and the week of each.

    Raises:
        NoSuchThing: there is no such section or week, or none is running.

    """
    sections = lab.sections.values() if section is None else [lab.section_named(section)]
    if number is None:
        found = [(one, week_at(lab.program, one.zone, now)) for one in sections]
    else:
        found = [(one, week_numbered(lab.program, one.zone, number)) for one in sections]
    weeks_found = [(one, week) for one, week in found if week is not None]
    if not weeks_found:
        what = "is running" if number is None else f"has the number {number}"
        raise NoSuchThing(f"No week {what}.{_numbers(lab)}")
    return weeks_found


def _numbers(lab: Lab) -> str:
    if lab.program is None:
        return " Without a program weeks have no numbers."
    numbers = [one.number for one in lab.program.weeks]
    return f" The program has the weeks {numbers[0]} to {numbers[-1]}."


def just_over(lab: Lab, now: datetime) -> tuple[datetime, datetime] | None:
    """Return when a week ended in the last of the sections, and an instant within it.

    None where that is more than a day ago, or no week was running.
    """
    at = now - _NEWS_FOR
    found = [week_at(lab.program, one.zone, at) for one in lab.sections.values()]
    ends = [week.ends_at for week in found if week is not None]
    return (max(ends), at) if ends and max(ends) <= now else None


def shown_week(lab: Lab, now: datetime) -> int | None:
    """Return which week to show where nobody has named one; None is the one that is running.

    In a break, or after the program, that is the last one that has begun; before it, the first.
    """
    zones = [one.zone for one in lab.sections.values()]
    if lab.program is None or any(week_at(lab.program, zone, now) for zone in zones):
        return None
    begun = [week.number for zone in zones for week in weeks_of(lab.program, zone)
             if week.starts_at <= now and week.number is not None]  # fmt: skip
    return max(begun, default=lab.program.weeks[0].number)


def waits_of(asked: Iterable[Asked], now: datetime) -> Waits:
    """Sum up the waits of those who wanted a GPU.

    Whoever was refused when the turn came, or went on in another request, did not wait in vain.
    """
    wanted = [one for one in asked if one.is_gpu and one.end_reason not in _NO_WAIT]
    seconds = sorted(
        ms_between(one.requested_at, one.held_at or one.ended_at or now) / 1000 for one in wanted
    )
    return Waits(
        asked=len(wanted),
        at_once=sum(one.held_at == one.requested_at for one in wanted),
        gave_up=sum(one.held_at is None and one.end_reason in _GAVE_UP for one in wanted),
        p50_s=quantile(seconds, 0.5), p95_s=quantile(seconds, 0.95),
    )  # fmt: skip


def gini(shares: Sequence[float]) -> float | None:
    """Return how unequal shares are: 0 when all are the same, near 1 when one has all.

    The Gini coefficient by the ordered form, G = 2 sum(i x_i) / (n sum(x_i)) - (n + 1) / n with
    i from 1 (Dixon et al., Ecology 68, 1987). None where there is nothing to share.
    """
    ordered, total = sorted(shares), sum(shares)
    if not ordered or total <= 0:
        return None
    count = len(ordered)
    weighted = sum(place * share for place, share in enumerate(ordered, start=1))
    return 2 * weighted / (count * total) - (count + 1) / count


def taken_in(asked: Iterable[Asked], since: datetime, until: datetime, now: datetime) -> GpuTime:
    """Sum what sessions occupied of GPUs within [since, until)."""
    total = 0
    for one in asked:
        if one.started_at is None:
            continue
        start, end = max(one.started_at, since), min(one.ended_at or now, until)
        total += one.share_mgpu * max(0, ms_between(start, end))
    return GpuTime(total)


def _section(
    tx: Connection, books: Books, section: Section, week: Week, asked: Sequence[Asked]
) -> SectionWeekReport:
    lab = books.lab
    names = listings.scholars_of(lab, section.name)
    if section.name == lab.default_section:
        # Whoever signs up is in this one without being listed.
        others = {one.account for one in asked if one.account not in lab.roster}
        names = sorted({*names, *others})
    used = usage.usage_sums(tx, books.hub_id, week.starts_at, week.ends_at, names)
    owed = {name: entitlement(lab, section, name, week).hours for name in names}
    known = set(names)
    mine = [
        one
        for one in asked
        if one.account in known and week.starts_at <= one.requested_at < week.ends_at
    ]
    return SectionWeekReport(
        name=section.name, title=section.title, week=week, scholars=len(names),
        active=len(_active(asked, known, week)),
        owed=GpuTime.total(owed.values()), used=GpuTime.total(used.values()),
        ran_out=len({one.account for one in mine if one.end_reason == "exhausted"}),
        waits=waits_of(mine, books.clock.now()), gini=gini(_shares(owed, used)),
    )  # fmt: skip


def _active(asked: Iterable[Asked], names: set[str], week: Week) -> set[str]:
    return {
        one.account for one in asked
        if one.account in names and one.started_at is not None and one.started_at < week.ends_at
        and (one.ended_at is None or one.ended_at > week.starts_at)
    }  # fmt: skip


def _shares(owed: Mapping[str, GpuTime], used: Mapping[str, GpuTime]) -> list[float]:
    """Return what part of what they were owed people used; who was owed nothing has no part."""
    return [used.get(name, GpuTime.ZERO).mgpu_ms / hours.mgpu_ms
            for name, hours in owed.items() if hours > GpuTime.ZERO]  # fmt: skip


def _gpus(
    tx: Connection, books: Books, asked: Sequence[Asked], since: datetime, until: datetime
) -> GpusReport:
    now = books.clock.now()
    gpus = sum(one.in_service for one in reads.gpu_uses(tx, books.hub_id))
    idle = sum(daily.counted(tx, books.hub_id, "idle_mgpu_ms", since, until).values())
    lasted_ms = max(0, ms_between(since, min(until, max(since, now))))
    return GpusReport(
        since=since, until=until, gpus=gpus, possible=GpuTime(gpus * FULL_MGPU * lasted_ms),
        taken=taken_in(asked, since, until, now), idle=GpuTime(idle),
    )  # fmt: skip


def hours_of(amount: GpuTime) -> float:
    """Return GPU-hours as a number to draw."""
    return amount.mgpu_ms / MGPU_MS_PER_HOUR


def _most(counts: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counts.items(), key=lambda one: (-one[1], one[0])))
