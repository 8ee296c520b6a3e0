"""Leases that nobody takes up in time: places in the line, kept offers, holds. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from quota.lab import Lab
from quota.leases import KEPT_PLACE, Lease, ended, stopping


def time_out(lease: Lease, mine: Iterable[Lease], lab: Lab, *, now: datetime) -> Lease:
    """Pass on what nobody takes up: places in the line, kept offers, holds that never started.

    `mine` are all open leases of its holder: a place is kept as long as they have a session.
    """
    policy = lab.policy
    if lease.state == "waiting":
        if _older(lease.offered_at, policy.offer_s, now):
            return ended(lease, reason="not_there", at=now)
        is_silent = _older(lease.asked_at, policy.waiter_timeout_s, now)
        if is_silent and lease.offered_at is None and not _works_meanwhile(lease, mine):
            return ended(lease, reason="left_line", at=now)
    if lease.state == "held" and _older(lease.held_at, policy.spawn_timeout_s, now):
        return stopping(lease, reason="never_started", at=now)
    return lease


def is_passed_on(lease: Lease) -> bool:
    """Tell whether a kept place ended because nobody came when its turn had come."""
    return lease.server_name == KEPT_PLACE and lease.end_reason == "not_there"


def _works_meanwhile(lease: Lease, mine: Iterable[Lease]) -> bool:
    # One that starts, runs or ends.
    return lease.keeps_place and any(one.state in ("held", "active", "stopping") for one in mine)


def _older(at: datetime | None, seconds: int, now: datetime) -> bool:
    return at is not None and now - at >= timedelta(seconds=seconds)
