"""Compare an account's open leases with what really runs, and bring the books up to it. Pure.

`advance` runs twice: on a snapshot, to see whether anything but "still running" has to be written,
and again under the account's lock, where its result is saved. What must happen outside the books
(stop, remove, tell) comes back as effects and is done after the commit.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from quota.allowances import settle
from quota.amount import GpuTime
from quota.clock import ms_between
from quota.endings import Ending, closing, ending_of, runs_out_at
from quota.entitlement import next_allowance
from quota.lab import Lab
from quota.lab_people import Section
from quota.leases import Lease, activated, ended, stopping
from quota.ledger import Account
from quota.observed import Observed
from quota.overdue import is_passed_on, time_out
from quota.posting import is_hold_used, post_use, roll_hold, set_hold
from quota.wording import (
    closed_text,
    closing_text,
    passed_text,
    stopped_text,
    warning_text,
    yielded_text,
    yielding_text,
)

NoticeKind = Literal["warning", "stopped", "idle", "turn", "reserved"]

# The stop must be over T + G after the last paid instant: 30 s to act and 20 s of grace.
STOP_WITHIN = timedelta(seconds=50)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopOrder:
    """A session that has to go: through the hub, else at the runtime."""

    lease_id: UUID
    ref: str
    account: str
    server_name: str
    reason: str
    paid_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something to tell the scholar; `minutes` is the step of a warning before the end."""

    account_id: int
    lease_id: UUID | None
    kind: NoticeKind
    text: str
    at: datetime
    minutes: int | None = None


@dataclass(slots=True, kw_only=True)
class Advance:
    """The leases as they are now, and what has to be done outside the books."""

    leases: list[Lease]
    stops: list[StopOrder] = field(default_factory=list)
    removals: list[str] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    endings: dict[UUID, Ending] = field(default_factory=dict)

    @property
    def ends_at(self) -> datetime | None:
        """The first instant at which one of the sessions has to end."""
        return min((one.at for one in self.endings.values()), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One observation of the runtime: begun at `at`, keyed by lease."""

    at: datetime
    by_lease: Mapping[UUID, Observed]


def advance(
    account: Account,
    leases: list[Lease],
    seen: Seen,
    *,
    lab: Lab,
    section: Section | None,
    now: datetime,
    given: Collection[UUID] = (),
    pool: GpuTime = GpuTime.ZERO,
) -> Advance:
    """Bring one account and its open leases up to an observation.

    `pool` is what the account may still draw from its section's pool.
    """
    result = Advance(leases=[])
    looked = [_look(lease, seen.by_lease.get(lease.id), seen) for lease in leases]
    priced = [_reprice(account, lease, lab, now=now) for lease in looked]
    settled = settle(account, priced, lab=lab, section=section, now=now, given=given)
    finished = [_finish(account, lease, seen, result, now=now) for lease in settled]
    rolled = _roll(account, finished, lab, now=now)
    timely = [time_out(lease, rolled, lab, now=now) for lease in rolled]
    result.notices += [_notice(account, one, "stopped", passed_text(one), now)
                       for one in timely if is_passed_on(one)]  # fmt: skip
    result.endings = _endings(account, timely, lab, section, now=now, pool=pool)
    result.leases = [
        _warn_or_stop(account, lease, result, lab=lab, section=section, now=now)
        for lease in timely
    ]
    result.stops = [
        _order(account, lease)
        for lease in result.leases
        if lease.state == "stopping" and lease.ref
    ]
    return result


def _endings(
    account: Account, leases: list[Lease], lab: Lab, section: Section | None, *, now: datetime,
    pool: GpuTime,
) -> dict[UUID, Ending]:  # fmt: skip
    runs_out = runs_out_at(account, leases, lab=lab, section=section, now=now, pool=pool)
    blackout = closing(lab, now)
    ends = {lease.id: ending_of(lease, runs_out, blackout, lab) for lease in leases
            if lease.is_running}  # fmt: skip
    return {key: one for key, one in ends.items() if one is not None}


def deadline_of(ends_at: datetime | None, lab: Lab, now: datetime) -> datetime:
    """Return when the watchdog stops a session if nobody has told it otherwise by then."""
    horizon = now + timedelta(seconds=lab.policy.outage_horizon_s)
    return min(ends_at or horizon, horizon) + STOP_WITHIN


# -- one lease against one observation -----------------------------------------------------


def _look(lease: Lease, one: Observed | None, seen: Seen) -> Lease:
    """Take over what the runtime shows of a lease that is starting or running."""
    if one is None or one.started_at is None:
        return lease
    if lease.state == "waiting":
        # Nobody admitted it, whatever started it: it is charged for what it ran, and has to go.
        lease = stopping(lease, reason="not_admitted", at=seen.at)
    if lease.started_at is None and lease.state in ("held", "stopping"):
        started_at = _believed_start(one.started_at, lease, seen)
        lease = activated(lease, ref=one.ref, started_at=started_at, seen_at=started_at)
    if lease.observed_until is None:
        return lease
    until = one.finished_at if one.finished_at is not None else seen.at
    return replace(lease, ref=one.ref, observed_until=max(lease.observed_until, until))


def _believed_start(started_at: datetime, lease: Lease, seen: Seen) -> datetime:
    """Nothing starts before it was admitted: a runtime that says so has a clock that is behind."""
    if lease.held_at is None or lease.held_at > seen.at:
        return started_at  # or it was admitted by a clock that is ahead
    return max(started_at, lease.held_at)


def _reprice(account: Account, lease: Lease, lab: Lab, *, now: datetime) -> Lease:
    """Let a changed weight count from now on: what was used before is posted at the old one."""
    flavor = lab.flavors.get(lease.flavor)
    if flavor is None or flavor.weight_mgpu == lease.weight_mgpu or not lease.is_open:
        return lease
    posted = post_use(account, lease, lease.observed_until or now, at=now)
    return replace(posted, weight_mgpu=flavor.weight_mgpu)


def _finish(
    account: Account, lease: Lease, seen: Seen, result: Advance, *, now: datetime
) -> Lease:
    """End what is over: left lines, holds without a container, sessions seen gone."""
    one = seen.by_lease.get(lease.id)
    reason = _over_because(lease, one, seen)
    if reason is None:
        return lease
    if one is not None and one.finished_at is not None and lease.is_running:
        until = one.finished_at
    else:
        until = lease.observed_until or now
    lease = post_use(account, lease, until, at=now)
    account.void(lease.id, lease.hold, at=now)
    lease = ended(replace(lease, hold=GpuTime.ZERO), reason=reason, at=until)
    if one is not None:
        result.removals.append(one.ref)
    return lease


def _over_because(lease: Lease, one: Observed | None, seen: Seen) -> str | None:
    if lease.state in ("waiting", "held"):
        return None
    if lease.started_at is None:
        # Asked to stop before anything started. An observation begun before the request may have
        # missed a container that was being made.
        asked_at = lease.stop_asked_at or seen.at
        is_gone = (one is None or one.started_at is None) and seen.at > asked_at
        return lease.stop_reason if is_gone else None
    if one is None and lease.observed_until is not None and seen.at < lease.observed_until:
        # Older than what is known already (a worker that was frozen, or a clock set back):
        # from its silence nothing can be concluded.
        return None
    if one is None or one.finished_at is not None:
        return lease.stop_reason or "server_gone"
    return None


# -- holds ----------------------------------------------------------------------------------


def _roll(account: Account, leases: list[Lease], lab: Lab, *, now: datetime) -> list[Lease]:
    """Post and set aside again where a hold is nearly used, or where less is left than is held."""
    rolled = [_roll_one(account, lease, lab, now=now) for lease in leases]
    return [_trim_one(account, lease, now=now) for lease in rolled]


def _roll_one(account: Account, lease: Lease, lab: Lab, *, now: datetime) -> Lease:
    if not is_hold_used(lease, lab, now=now) or account.available(now) <= GpuTime.ZERO:
        return lease
    assert lease.observed_until is not None, "it was seen running"
    posted = post_use(account, lease, lease.observed_until, at=now)
    return roll_hold(account, posted, lab.policy.hold_step_s * 1000, at=now)


def _trim_one(account: Account, lease: Lease, *, now: datetime) -> Lease:
    """After a cut of the allowance holds may exceed what is left: give the excess back."""
    excess = -account.available(now)
    if excess <= GpuTime.ZERO or not lease.hold or not lease.is_open:
        return lease
    used = min(lease.unposted(now), lease.hold)
    return set_hold(account, lease, max(used, lease.hold - excess), at=now)


# -- warnings and the end ---------------------------------------------------------------------


def _warn_or_stop(
    account: Account, lease: Lease, result: Advance, *, lab: Lab, section: Section | None,
    now: datetime,
) -> Lease:  # fmt: skip
    if lease.state != "active":
        return lease
    ending = result.endings.get(lease.id)
    if ending is None:
        return lease if lease.warned_min is None else replace(lease, warned_min=None)
    if ending.at > now:
        return _warn(account, lease, ending, result, lab, now=now)
    text = closed_text(lease, ending.title)
    if ending.why == "reserved":
        text = yielded_text(lease)
    elif ending.why == "exhausted":
        text = stopped_text(lease, next_allowance(lab, section, account.name, now), section)
    result.notices.append(_notice(account, lease, "stopped", text, now))
    return stopping(replace(lease, paid_until=ending.at), reason=ending.why, at=now)


def _warn(
    account: Account, lease: Lease, ending: Ending, result: Advance, lab: Lab, *, now: datetime
) -> Lease:
    left_ms = ms_between(now, ending.at)
    due = [minutes for minutes in lab.policy.warn_before_min if left_ms <= minutes * 60_000]
    level = min(due, default=None)
    if level is None or (lease.warned_min is not None and level >= lease.warned_min):
        # More time was given: the warnings above the new rest may come again.
        return lease if due or lease.warned_min is None else replace(lease, warned_min=None)
    text = warning_text(left_ms)
    if ending.why == "blackout":
        text = closing_text(left_ms, ending.title)
    elif ending.why == "reserved":
        text = yielding_text(left_ms, lease)
    result.notices.append(_notice(account, lease, "warning", text, now, minutes=level))
    return replace(lease, warned_min=level)


def _notice(
    account: Account, lease: Lease, kind: Literal["warning", "stopped"], text: str, at: datetime,
    *, minutes: int | None = None,
) -> Notice:  # fmt: skip
    return Notice(account_id=account.id, lease_id=lease.id, kind=kind, text=text, at=at,
                  minutes=minutes)  # fmt: skip


def _order(account: Account, lease: Lease) -> StopOrder:
    assert lease.ref is not None
    return StopOrder(
        lease_id=lease.id, ref=lease.ref, account=account.name, server_name=lease.server_name,
        reason=lease.stop_reason or "", paid_until=lease.paid_until,
    )  # fmt: skip
