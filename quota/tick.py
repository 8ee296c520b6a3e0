"""One pass of the worker over the books: what really runs goes in, what has to be done comes out.

Most leases are simply still running: all of those are written in one statement. Only accounts
where more happened are locked, loaded again and advanced: see `quota.advancing`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from operator import attrgetter
from typing import TypeAlias
from uuid import UUID

from sqlalchemy import Connection, Engine, RowMapping

from quota.adopting import match_leases
from quota.advancing import Step, advance_locked, advance_one, boosts_given, is_paid_by_others
from quota.amount import GpuTime
from quota.attachments import Attachment
from quota.budgets import pool_left
from quota.calm import Calm, CalmAccounts, Glance
from quota.clock import to_ms
from quota.endings import Ending
from quota.lab import Lab
from quota.leases import Lease
from quota.ledger import Account
from quota.observed import Observed
from quota.posting import is_hold_used
from quota.reconcile import Advance, Seen, StopOrder, deadline_of
from quota.store import reads, slots, writes
from quota.store.bare import BareRows, bare_rows
from quota.store.engine import reading, transaction
from quota.store.office import attachments_by_account

Sighting: TypeAlias = tuple[UUID, datetime]
"""A lease, and up to when its session was seen running."""

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


def tick(
    engine: Engine, lab: Lab, hub_id: str, given: TickInput, *, calm: CalmAccounts | None = None
) -> TickResult:
    """Bring all books of a hub up to an observation.

    `calm` is what the ticks before have learned; it is taught for the next.
    """
    calm = CalmAccounts() if calm is None else calm
    # A listing that names a container twice must not pass for two containers.
    given = replace(given, observed=tuple({one.ref: one for one in given.observed}.values()))
    view = _look(engine, lab, hub_id, calm, given.now)
    matched = match_leases(
        engine, lab, hub_id, given.observed, {lease.id: lease for lease in view.leases()},
        seen_at=given.seen_at, now=given.now,
    )  # fmt: skip
    if matched.adopted:
        view = _look(engine, lab, hub_id, calm, given.now)
    result = TickResult(adopted=matched.adopted, removals=matched.removals)
    seen = Seen(at=given.seen_at, by_lease=matched.by_lease)
    step = Step(lab=lab, seen=seen, now=given.now, pools=view.opened.pools, lost=view.lost)
    moved = {id_ for id_, one in view.calm.items() if not one.goes_on(seen.by_lease)}
    sightings = _pass_over(view, moved, step, result)
    busy: list[Account] = []
    for some in (view.opened, _reopened(engine, hub_id, moved, step)):
        for account in some.accounts:
            ahead = _quiet_advance(view, account, some, step, calm)
            if ahead is None:
                busy.append(account)
            else:
                sightings += _sightings(some.leases[account.id], ahead.leases)
                _collect_advance(result, ahead, step)
    busy.sort(key=lambda account: account.id)
    for ahead in advance_locked(engine, busy, step, view.helped):
        _collect_advance(result, ahead, step)
    with transaction(engine, step="tick_seen") as tx:
        writes.mark_seen(tx, sightings)
        writes.set_counter(tx, "tick_at_ms", "", to_ms(given.now))
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """Some accounts as they were at one instant; what happened since shows under the lock."""

    accounts: Sequence[Account]
    leases: Mapping[int, list[Lease]]
    boosts: Collection[UUID]
    pools: Mapping[str, GpuTime]


_NOBODY = _Opened(accounts=(), leases={}, boosts=(), pools={})


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """All accounts with open leases: those that are known to be calm, and the others opened."""

    rows: Mapping[int, BareRows]
    calm: Mapping[int, Calm]
    opened: _Opened
    helped: Mapping[int, Attachment]
    lost: frozenset[str]

    def leases(self) -> Iterator[Lease]:
        """Return all open leases."""
        for calm in self.calm.values():
            yield from calm.leases
        for some in self.opened.leases.values():
            yield from some


def _look(engine: Engine, lab: Lab, hub_id: str, calm: CalmAccounts, now: datetime) -> _View:
    with reading(engine) as tx:
        # Before what is read of the others: what changes in between shows at the next look.
        rows = bare_rows(tx, hub_id)
        helped = attachments_by_account(tx, hub_id)
        lost = slots.lost_gpus(tx, hub_id, since=now - timedelta(seconds=lab.policy.lost_gpu_s))
        known = calm.recall(lab, {one: rows[one] for one in rows if one not in helped}, now=now)
        if lost:
            known = {id_: one for id_, one in known.items() if not one.is_on(lost)}
        others = [account_id for account_id in rows if account_id not in known]
        opened = _open(tx, lab, hub_id, others, now)
        return _View(rows=rows, calm=known, opened=opened, helped=helped, lost=lost)


def _open(tx: Connection, lab: Lab, hub_id: str, ids: Collection[int], now: datetime) -> _Opened:
    if not ids:
        return _NOBODY
    rows = reads.account_rows(tx, ids)
    lots = reads.open_lots(tx, ids)
    return _Opened(
        accounts=[reads.account_of(row, lots[row["id"]]) for row in rows],
        leases=reads.open_leases_of(tx, ids),
        boosts=boosts_given(tx, rows, lab, now),
        pools=_pools_left(tx, rows, lab, hub_id, now),
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


# -- without a lock ------------------------------------------------------------------------------


def _pass_over(
    view: _View, moved: Collection[int], step: Step, result: TickResult
) -> list[Sighting]:
    """Take over what is known of accounts that are calm and not `moved`: all goes on."""
    found: list[Sighting] = []
    seen_at, seen_ms = step.seen.at, to_ms(step.seen.at)
    for account_id, one in view.calm.items():
        if account_id in moved:
            continue
        before_ms = view.rows[account_id].seen_ms
        found += [
            (lease.id, seen_at)
            for lease, ms in zip(one.leases, before_ms, strict=True)
            if ms is not None and ms < seen_ms
        ]
        _collect(result, one.leases, one.endings, step)
    return found


def _reopened(engine: Engine, hub_id: str, ids: Collection[int], step: Step) -> _Opened:
    """Open accounts that were calm until the runtime showed something else."""
    if not ids:
        return _NOBODY
    with reading(engine) as tx:
        return _open(tx, step.lab, hub_id, ids, step.now)


def _quiet_advance(
    view: _View, account: Account, some: _Opened, step: Step, calm: CalmAccounts
) -> Advance | None:
    """Find out in memory whether nothing happened; None if the account needs its lock."""
    lab, before = step.lab, some.leases[account.id]
    calm.forget(account.id)
    if any(is_hold_used(lease, lab, now=step.now) for lease in before):
        return None  # as would be found out under the lock: once is enough
    ahead = advance_one(account, before, step, given=some.boosts)
    helper = view.helped.get(account.id)
    if not _is_quiet(account, before, ahead):
        return None
    if is_paid_by_others(account, ahead.leases, helper, step):
        return None
    calm.remember(
        Glance(account=account, leases=ahead.leases, endings=ahead.endings, lab=lab, now=step.now),
        rows=view.rows[account.id],
    )
    return ahead


def _is_quiet(account: Account, before: list[Lease], ahead: Advance) -> bool:
    """Tell whether nothing happened but that the sessions are still running."""
    if account.new_entries or account.changed_lots or ahead.notices:
        return False
    return all(_told(old) == _told(new) for old, new in zip(before, ahead.leases, strict=True))


def _sightings(before: list[Lease], after: list[Lease]) -> list[Sighting]:
    return [
        (new.id, new.observed_until)
        for old, new in zip(before, after, strict=True)
        if new.observed_until is not None and new.observed_until != old.observed_until
    ]


# -- what comes out ------------------------------------------------------------------------------


def _collect_advance(result: TickResult, ahead: Advance, step: Step) -> None:
    result.ended += sum(1 for lease in ahead.leases if lease.state == "ended")
    result.stops += ahead.stops
    result.removals += ahead.removals
    _collect(result, ahead.leases, ahead.endings, step)


def _collect(
    result: TickResult, leases: Sequence[Lease], endings: Mapping[UUID, Ending], step: Step
) -> None:
    for lease in leases:
        ending = endings.get(lease.id)
        if lease.is_running and lease.ref is not None:
            at = deadline_of(ending.at if ending else None, step.lab, step.now)
            result.deadlines.append(Deadline(lease_id=lease.id, ref=lease.ref, at=at))
        # What is being stopped already must not hide the next one from the worker.
        if ending is not None and lease.state == "active" and ending.at > step.now:
            known = result.next_end_at
            result.next_end_at = ending.at if known is None else min(known, ending.at)
