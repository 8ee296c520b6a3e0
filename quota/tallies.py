"""What is counted when a session starts or ends, for totals that a scrape reads ready-made. Pure.

Only the worker adds to them, so that people who ask at the same time never wait for one row.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from quota.clock import ms_between
from quota.leases import Lease

# Upper edges of the histogram of enforcement lag, in seconds; 50 is the promise.
LAG_EDGES_S = (1, 2, 5, 10, 15, 20, 30, 50, 120)
# From the request to the turn, and from the turn to a container that runs.
WAIT_EDGES_S = (1, 10, 60, 300, 900, 1800, 3600, 7200, 14_400, 43_200)
START_EDGES_S = (1, 2, 5, 10, 20, 30, 60, 120, 300)

Tallies: TypeAlias = Counter[tuple[str, str]]


def tallies_of(changes: Iterable[tuple[Lease, Lease]]) -> Tallies:
    """Count what happened to leases, each as it was before and as it is now."""
    found: Tallies = Counter()
    for before, after in changes:
        if before.started_at is None and after.started_at is not None:
            _count_start(found, after)
        if before.state != "ended" and after.state == "ended":
            _count_end(found, after)
    return found


def _count_start(found: Tallies, lease: Lease) -> None:
    if lease.held_at is None or lease.started_at is None:
        return
    _observe(found, "session_wait", WAIT_EDGES_S, ms_between(lease.requested_at, lease.held_at))
    _observe(found, "session_start", START_EDGES_S, ms_between(lease.held_at, lease.started_at))


def _count_end(found: Tallies, lease: Lease) -> None:
    found["sessions_ended", lease.end_reason or ""] += 1
    if lease.end_reason != "exhausted" or lease.paid_until is None or lease.ended_at is None:
        return
    lag_ms = ms_between(lease.paid_until, lease.ended_at)
    _observe(found, "enforcement_lag", LAG_EDGES_S, lag_ms)
    found["overrun_mgpu_ms", ""] += max(0, lag_ms) * lease.weight_mgpu


def _observe(found: Tallies, name: str, edges_s: Sequence[int], took_ms: int) -> None:
    took_ms = max(0, took_ms)
    edge = next((edge for edge in edges_s if took_ms <= edge * 1000), "+Inf")
    found[f"{name}_ms", "sum"] += took_ms
    found[f"{name}_bucket", str(edge)] += 1
