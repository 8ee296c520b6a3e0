"""When an account's GPU time runs out over all its sessions. Pure.

Walks forward over the instants at which lots begin and end and the next week begins, burning what
all running sessions cost together. Exact in whole milliseconds: the answer is the first instant
that is no longer paid.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TypeAlias

from quota.amount import GpuTime
from quota.clock import ms_between
from quota.leases import Lease
from quota.ledger import Lot, drawing_rank

# Nothing needs to be known further ahead than the longest warning and the outage horizon; a week
# and a day also answers "how long does the balance last" across the next reset.
LOOK_AHEAD = timedelta(days=8)


Coming: TypeAlias = tuple[datetime, datetime, GpuTime]
"""GPU time that will be given: usable from, until, and how much."""


@dataclass(slots=True)
class _Purse:
    """What is left of one lot while walking forward, in mgpu_ms: bare, since this runs a lot."""

    starts_at: datetime
    ends_at: datetime
    left: int
    rank: int = drawing_rank("allowance")


def exhausts_at(
    lots: Iterable[Lot],
    debt: GpuTime,
    leases: Sequence[Lease],
    *,
    now: datetime,
    next_week: tuple[datetime, GpuTime] | None = None,
    coming: Iterable[Coming] = (),
) -> datetime | None:
    """Return the first instant that is not paid any more, or None when none is in sight.

    The instant may lie before `now`: the account ran out since it was last charged.
    """
    running = [lease for lease in leases if lease.is_running and lease.weight_mgpu > 0]
    weight = sum(lease.weight_mgpu for lease in running)
    if weight == 0:
        return None
    purses = [
        _Purse(lot.starts_at, lot.ends_at, lot.remaining.mgpu_ms, drawing_rank(lot.source))
        for lot in lots
    ]
    if next_week is not None:
        purses.append(_Purse(next_week[0], next_week[0] + LOOK_AHEAD, next_week[1].mgpu_ms))
    purses += [_Purse(start, end, hours.mgpu_ms) for start, end, hours in coming]
    purses.sort(key=lambda purse: (purse.rank, purse.ends_at))
    behind = sum(lease.unposted(now).mgpu_ms for lease in running)
    # From the oldest unposted instant to now the sessions may have started one after the other;
    # burning their exact sum at `now` and walking on from there gives the same end.
    owed = _burn(purses, debt.mgpu_ms + behind, now)
    if owed:
        start = min(lease.charged_until or now for lease in running)
        return max(now - timedelta(milliseconds=max(1, owed // weight)), start)
    return _walk(purses, weight, now)


def _walk(purses: list[_Purse], weight: int, now: datetime) -> datetime | None:
    end = now + LOOK_AHEAD
    edges = [edge for purse in purses for edge in (purse.starts_at, purse.ends_at)]
    cuts = [now, *sorted(edge for edge in edges if now < edge < end), end]
    for at, until in pairwise(cuts):
        length_ms = ms_between(at, until)
        unpaid = _burn(purses, weight * length_ms, at)
        if unpaid:
            return at + timedelta(milliseconds=length_ms - -(-unpaid // weight))
    return None


def _burn(purses: list[_Purse], amount: int, at: datetime) -> int:
    """Draw from what is usable then, earliest end first; return what is not covered."""
    for purse in purses:
        if purse.left and purse.starts_at <= at < purse.ends_at:
            drawn = min(amount, purse.left)
            purse.left -= drawn
            amount -= drawn
    return amount
