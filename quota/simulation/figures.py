"""From what classes went through to the figures that an organizer asks for. Pure.

Several runs of the same lab are put together: waits in one heap, sums as means over the runs.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import mean, median

from quota.amount import MGPU_MS_PER_HOUR
from quota.placement import FULL_MGPU
from quota.quantiles import quantile
from quota.simulation.record import RunOut, Wait

HOURS = range(24)
# Served at the first question: nobody looks at a clock for less.
_AT_ONCE_MS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WeekUse:
    """Hours of one section in one week: given, used, and who had none left."""

    section: str
    week: int
    given_mgpu_ms: int
    used_mgpu_ms: int
    run_out: int
    scholars: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One simulated class."""

    seed: int
    gpus: int
    percent: int
    waits: tuple[Wait, ...]
    run_outs: tuple[RunOut, ...]
    weeks: tuple[WeekUse, ...]
    busy_by_hour: tuple[float, ...]
    busy: float
    steps: int
    took_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """How long people waited for a GPU, in seconds."""

    wishes: int
    at_once: float
    p50_s: float
    p95_s: float
    mean_s: float
    waited_p50_s: float
    gave_up: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Hours of a section in a week, as means over the runs; shares of its scholars."""

    section: str
    week: int
    given_h: float
    used_h: float
    ran_out: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a lab with so many GPUs and such an allowance is like."""

    gpus: int
    percent: int
    runs: int
    waits: Waits
    p95_lowest_s: float
    p95_highest_s: float
    by_section: dict[str, Waits]
    by_hour: tuple[Waits, ...]
    busy: float
    busy_by_hour: tuple[float, ...]
    usage: tuple[Usage, ...]
    given_h: float
    used_h: float
    ran_out: float

    @property
    def unused(self) -> float:
        """The part of the given hours that nobody used."""
        return 1 - self.used_h / self.given_h if self.given_h else 0.0


def figures_of(outcomes: Sequence[Outcome]) -> Figures:
    """Put the runs of one lab together."""
    first = outcomes[0]
    waits = [wait for one in outcomes for wait in one.waits]
    p95s = [waits_of(one.waits).p95_s for one in outcomes]
    usage = _usage(outcomes)
    sections = sorted({wait.section for wait in waits})
    return Figures(
        gpus=first.gpus,
        percent=first.percent,
        runs=len(outcomes),
        waits=waits_of(waits),
        p95_lowest_s=min(p95s),
        p95_highest_s=max(p95s),
        by_section={name: waits_of(w for w in waits if w.section == name) for name in sections},
        by_hour=tuple(waits_of(w for w in waits if w.local_hour == hour) for hour in HOURS),
        busy=mean(one.busy for one in outcomes),
        busy_by_hour=tuple(mean(one.busy_by_hour[hour] for one in outcomes) for hour in HOURS),
        usage=usage,
        given_h=sum(one.given_h for one in usage),
        used_h=sum(one.used_h for one in usage),
        ran_out=mean(_part_run_out(one) for one in outcomes),
    )


def waits_of(waits: Iterable[Wait]) -> Waits:
    """Sum up waits: of those who were served, and of those who gave up as long as they stayed.

    Whoever is refused does not wait, and is counted with the hours that ran out.
    """
    asked = [wait for wait in waits if wait.ended != "refused"]
    seconds = sorted(wait.wait_ms / 1000 for wait in asked)
    waited = [one for one in seconds if one > _AT_ONCE_MS / 1000]
    served = [wait for wait in asked if wait.ended == "started"]
    at_once = sum(1 for wait in served if wait.wait_ms <= _AT_ONCE_MS)
    gave_up = len(asked) - len(served)
    return Waits(
        wishes=len(asked),
        at_once=at_once / len(asked) if asked else 1.0,
        p50_s=quantile(seconds, 0.5),
        p95_s=quantile(seconds, 0.95),
        mean_s=mean(seconds) if seconds else 0.0,
        waited_p50_s=median(waited) if waited else 0.0,
        gave_up=gave_up / len(asked) if asked else 0.0,
    )


def busy_by(
    spans: Iterable[tuple[datetime, datetime, int]], start: datetime, end: datetime, gpus: int,
    hour_of: Callable[[datetime], int],
) -> tuple[float, tuple[float, ...]]:  # fmt: skip
    """Return which part of the GPUs was taken, over all and by hour of the day (UTC).

    Spans are (from, until, share in thousandths).
    """
    total, by_hour = 0.0, [0.0] * len(HOURS)
    for since, until, share in spans:
        at = max(since, start)
        until = min(until, end)  # noqa: PLW2901
        while at < until:
            edge = min(until, _next_hour(at))
            part = share / FULL_MGPU * (edge - at).total_seconds()
            total += part
            by_hour[hour_of(at)] += part
            at = edge
    seconds = max((end - start).total_seconds(), 1.0)
    each = seconds / len(HOURS) * gpus
    return total / (seconds * gpus), tuple(one / each for one in by_hour)


def _next_hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)


def _usage(outcomes: Sequence[Outcome]) -> tuple[Usage, ...]:
    by_key: dict[tuple[int, str], list[WeekUse]] = defaultdict(list)
    for outcome in outcomes:
        for one in outcome.weeks:
            by_key[one.week, one.section].append(one)
    return tuple(
        Usage(
            section=section, week=week,
            given_h=mean(one.given_mgpu_ms for one in some) / MGPU_MS_PER_HOUR,
            used_h=mean(one.used_mgpu_ms for one in some) / MGPU_MS_PER_HOUR,
            ran_out=mean(one.run_out / max(one.scholars, 1) for one in some),
        )
        for (week, section), some in sorted(by_key.items())
    )  # fmt: skip


def _part_run_out(outcome: Outcome) -> float:
    scholars = sum(one.scholars for one in outcome.weeks)
    return sum(one.run_out for one in outcome.weeks) / max(scholars, 1)
