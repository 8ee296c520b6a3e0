"""Turning a lease's use into entries: charges, and the hold that rolls before it. Pure."""

from dataclasses import replace
from datetime import datetime

from quota.amount import GpuTime
from quota.clock import from_ms, to_ms
from quota.lab import Lab
from quota.leases import Lease
from quota.ledger import Account


def post_use(account: Account, lease: Lease, until: datetime, *, at: datetime) -> Lease:
    """Charge what the lease used up to an instant that the runtime vouches for.

    An instant before what is charged already (a clock set back) charges nothing.
    """
    if not lease.is_running or lease.charged_until is None or until <= lease.charged_until:
        return lease
    if lease.weight_mgpu == 0:
        return replace(lease, charged_until=until)
    consumed = account.charge(
        lease.id,
        weight_mgpu=lease.weight_mgpu,
        start=lease.charged_until,
        until=until,
        from_hold=lease.hold,
        at=at,
    )
    return replace(lease, charged_until=until, hold=lease.hold - consumed)


def set_hold(account: Account, lease: Lease, target: GpuTime, *, at: datetime) -> Lease:
    """Bring a lease's hold to a target: more is taken only from what is available."""
    if target < lease.hold:
        account.void(lease.id, lease.hold - target, at=at)
        return replace(lease, hold=target)
    more = min(target - lease.hold, max(account.available(at), GpuTime.ZERO))
    account.pend(lease.id, more, at=at)
    return replace(lease, hold=lease.hold + more)


def roll_hold(account: Account, lease: Lease, hold_step_ms: int, *, at: datetime) -> Lease:
    """Set the next hold step aside; the last hold of an account is what remains."""
    return set_hold(account, lease, GpuTime.of(lease.weight_mgpu, hold_step_ms), at=at)


def is_hold_used(lease: Lease, lab: Lab, *, now: datetime) -> bool:
    """Tell whether what is set aside for a running session will not last for two more ticks."""
    if lease.state != "active" or lease.weight_mgpu == 0 or lease.observed_until is None:
        return False
    return lease.hold - lease.unposted(now) < _two_ticks(lease, lab)


def hold_used_at(lease: Lease, lab: Lab) -> datetime:
    """Return the first instant at which `is_hold_used` of a session that goes on unposted."""
    assert lease.charged_until is not None, "it was started"
    lasts = lease.hold - _two_ticks(lease, lab)
    lasts_ms = lasts.mgpu_ms // lease.weight_mgpu
    return from_ms(to_ms(lease.charged_until) + lasts_ms + 1)


def _two_ticks(lease: Lease, lab: Lab) -> GpuTime:
    return GpuTime.of(lease.weight_mgpu, 2 * lab.policy.tick_s * 1000)
