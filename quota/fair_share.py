"""How much of their GPU-hours people have used: what orders the waiting line. Pure.

This week counts fully, the one before half, and so on: the half-life is a week. What one is owed
is what the rules and grants give in the same weeks, weighed the same.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from quota.amount import GpuTime
from quota.calendar import week_at
from quota.entitlement import entitlement
from quota.lab import Lab
from quota.lab_people import Section
from quota.ledger import Lot

WEEKS = 4
# Beyond that people are alike: whoever has nothing of their own left uses what others pay.
_MOST_PERMILLE = 2_000
_WEEK = timedelta(days=7)
# A pool and a help budget pay what a scholar is not owed.
_OWED = frozenset({"boost", "roll_over", "absence", "grant", "ta_grant", "request", "refund"})


def week_starts(lab: Lab, section: Section | None, now: datetime) -> tuple[datetime, ...]:
    """Return where the weeks that count begin, this one first; outside a program every 7 days."""
    starts: list[datetime] = []
    at = now
    for _ in range(WEEKS):
        week = None if section is None else week_at(lab.program, section.zone, at)
        starts.append(at - _WEEK if week is None else week.starts_at)
        at = starts[-1] - timedelta(milliseconds=1)
    return tuple(starts)


def place_in(starts: Sequence[datetime], at: datetime) -> int | None:
    """Return in which of these weeks an instant lies; None when it is before all of them."""
    return next((place for place, start in enumerate(starts) if at >= start), None)


def part_used(
    lab: Lab, section: Section | None, scholar: str, *, starts: Sequence[datetime],
    used: Iterable[GpuTime], lots: Iterable[Lot],
) -> int:  # fmt: skip
    """Return which part of what one was owed is used, in thousandths; the newest week first."""
    owed = weighed(_owed(lab, section, scholar, starts, lots))
    spent = weighed(used)
    if spent <= 0:
        return 0
    return min(_MOST_PERMILLE, spent * 1000 // owed) if owed > 0 else _MOST_PERMILLE


def weighed(weeks: Iterable[GpuTime]) -> int:
    """Sum the amounts of weeks, the newest first, each with half the weight of the one before."""
    return sum(amount.mgpu_ms * 2 ** (WEEKS - place) for place, amount in enumerate(weeks))


def _owed(
    lab: Lab, section: Section | None, scholar: str, starts: Sequence[datetime],
    lots: Iterable[Lot],
) -> list[GpuTime]:  # fmt: skip
    """Return what each of these weeks gave: by the rules, and by lots that begin in it."""
    given = [GpuTime.ZERO] * len(starts)
    for place, at in enumerate(starts):
        week = None if section is None else week_at(lab.program, section.zone, at)
        if section is not None and week is not None:
            given[place] = entitlement(lab, section, scholar, week).hours
    for lot in lots:
        in_week = place_in(starts, lot.starts_at)
        if lot.source in _OWED and in_week is not None:
            given[in_week] += lot.amount
    return given
