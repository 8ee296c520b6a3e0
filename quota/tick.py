"""One pass of the worker over the books: what really runs goes in, what has to be done comes out.

Most leases are simply still running: all of those are written in one statement. Only accounts
where more happened are locked, loaded again and advanced: see `quota.advancing`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from operator import attrgetter
from uuid import UUID

from sqlalchemy import Connection, Engine, RowMapping

from quota.adopting import match_leases
from quota.advancing import Step, advance_locked, advance_one, boosts_given, is_paid_by_others
from quota.amount import GpuTime
from quota.attachments import Attachment
from quota.budgets import pool_left
from quota.clock import to_ms
from quota.lab import Lab
from quota.leases import Lease
from quota.ledger import Account, Lot
from quota.observed import Observed
from quota.reconcile import Advance, Seen, StopOrder, deadline_of, is_hold_used
from quota.store import reads, slots, writes
from quota.store.engine import reading, transaction
from quota.store.office import attachments_by_account

# All of a lease but what a sighting changes.
_told = attrgetter(*(name for name in Lease.__slots__ if name not in ("observed_until", "ref")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """Until when a session may run if nobody says otherwise."""

    lease_id: UUID
    ref: str
    at: datetime


@dataclass(slots=True, kw_only=True)
class TickResult:
    """What has to be done outside the books, and when to look again."""

    stops: list[StopOrder] = field(default_factory=list)
    removals: list[str] = field(default_factory=list)
    deadlines: list[Deadline] = field(default_factory=list)
    adopted: list[Observed] = field(default_factory=list)
    ended: int = 0
    next_end_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TickInput:
    """One observation of the runtime, begun at `seen_at`."""

    observed: Sequence[Observed]
    seen_at: datetime
    now: datetime


def tick(engine: Engine, lab: Lab, hub_id: str, given: TickInput) -> TickResult:
    """Bring all books of a hub up to an observation."""
    result = TickResult()
    # A listing that names a container twice must not pass for two containers.
    given = replace(given, observed=tuple({one.ref: one for one in given.observed}.values()))
    view = _look(engine, lab, hub_id, given.now)
    known = {lease.id: lease for some in view.leases.values() for lease in some}
    matched = match_leases(
        engine, lab, hub_id, given.observed, known, seen_at=given.seen_at, now=given.now
    )
    if matched.adopted:
        view = _look(engine, lab, hub_id, given.now)
    result.adopted += matched.adopted
    result.removals += matched.removals
    seen = Seen(at=given.seen_at, by_lease=matched.by_lease)
    step = Step(lab=lab, seen=seen, now=given.now, pools=view.pools, lost=view.lost)
    quiet: list[tuple[UUID, datetime]] = []
    busy: list[Account] = []
    for row in view.rows:
        account, before = reads.account_of(row, view.lots[row["id"]]), view.leases[row["id"]]
        if any(is_hold_used(lease, lab, now=given.now) for lease in before):
            busy.append(account)  # as will be found out under the lock: once is enough
            continue
        ahead = advance_one(account, before, step, given=view.boosts)
        if not _is_quiet(account, before, ahead) or is_paid_by_others(
            account, ahead.leases, view.helped.get(account.id), step
        ):
            busy.append(account)
        else:
            quiet += _sightings(before, ahead.leases)
            _collect(result, ahead, lab, given.now)
    for ahead in advance_locked(engine, busy, step, view.helped):
        _collect(result, ahead, lab, given.now)
    with transaction(engine, step="tick_seen") as tx:
        writes.mark_seen(tx, quiet)
        writes.set_counter(tx, "tick_at_ms", "", to_ms(given.now))
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """All accounts with open leases at one instant; what happened since shows under the lock."""

    leases: Mapping[int, list[Lease]]
    rows: Sequence[RowMapping]
    lots: Mapping[int, list[Lot]]
    helped: Mapping[int, Attachment]
    boosts: Collection[UUID]
    pools: Mapping[str, GpuTime]
    lost: frozenset[str]


def _look(engine: Engine, lab: Lab, hub_id: str, now: datetime) -> _View:
    with reading(engine) as tx:
        leases = reads.all_open_leases(tx, hub_id)
        rows = reads.account_rows(tx, leases)
        return _View(
            leases=leases,
            rows=rows,
            lots=reads.open_lots(tx, leases),
            helped=attachments_by_account(tx, hub_id),
            boosts=boosts_given(tx, rows, lab, now),
            pools=_pools_left(tx, rows, lab, hub_id, now),
            lost=slots.lost_gpus(tx, hub_id, since=now - timedelta(seconds=lab.policy.lost_gpu_s)),
        )


def _pools_left(
    tx: Connection, rows: Sequence[RowMapping], lab: Lab, hub_id: str, now: datetime
) -> dict[str, GpuTime]:
    """Look up what is in the pools of all sections that have somebody running."""
    found: dict[str, GpuTime] = {}
    for row in rows:
        section = lab.section_of(row["name"])
        if section is not None and section.pool is not None and section.name not in found:
            found[section.name] = pool_left(tx, lab, hub_id, section, now)
    return found


def _is_quiet(account: Account, before: list[Lease], ahead: Advance) -> bool:
    """Tell whether nothing happened but that the sessions are still running."""
    if account.new_entries or account.changed_lots or ahead.notices:
        return False
    return all(_told(old) == _told(new) for old, new in zip(before, ahead.leases, strict=True))


def _sightings(before: list[Lease], after: list[Lease]) -> list[tuple[UUID, datetime]]:
    return [
        (new.id, new.observed_until)
        for old, new in zip(before, after, strict=True)
        if new.observed_until is not None and new.observed_until != old.observed_until
    ]


def _collect(result: TickResult, ahead: Advance, lab: Lab, now: datetime) -> None:
    result.ended += sum(1 for lease in ahead.leases if lease.state == "ended")
    result.stops += ahead.stops
    result.removals += ahead.removals
    for lease in ahead.leases:
        if lease.is_running and lease.ref is not None:
            ending = ahead.endings.get(lease.id)
            at = deadline_of(ending.at if ending else None, lab, now)
            result.deadlines.append(Deadline(lease_id=lease.id, ref=lease.ref, at=at))
    # What is being stopped already must not hide the next one from the worker.
    ends = [ahead.endings[one.id].at for one in ahead.leases
            if one.state == "active" and one.id in ahead.endings]  # fmt: skip
    known = [] if result.next_end_at is None else [result.next_end_at]
    result.next_end_at = min((at for at in (*known, *ends) if at > now), default=None)
