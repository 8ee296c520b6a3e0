"""Leases that nobody takes up in time: places in the line, kept offers, holds. Pure."""

from datetime import datetime, timedelta

from quota.lab import Lab
from quota.leases import Lease, ended, stopping


def time_out(lease: Lease, lab: Lab, *, now: datetime) -> Lease:
    """Pass on what nobody takes up: places in the line, kept offers, holds that never started."""
    policy = lab.policy
    if lease.state == "waiting":
        if _older(lease.offered_at, policy.offer_s, now):
            return ended(lease, reason="not_there", at=now)
        if _older(lease.asked_at, policy.waiter_timeout_s, now) and lease.offered_at is None:
            return ended(lease, reason="left_line", at=now)
    if lease.state == "held" and _older(lease.held_at, policy.spawn_timeout_s, now):
        return stopping(lease, reason="never_started", at=now)
    return lease


def _older(at: datetime | None, seconds: int, now: datetime) -> bool:
    return at is not None and now - at >= timedelta(seconds=seconds)
