"""One pass of the worker over the books: what really runs goes in, what has to be done comes out.

Most leases are simply still running: all of those are written in one statement. Only accounts
where more happened are locked, loaded again and advanced, each in its own transaction, so that
one slow or broken account never holds up the rest.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, Engine, RowMapping

from quota.adopting import match_leases
from quota.allowances import boost_ids
from quota.amount import GpuTime
from quota.attaching import keep_helping
from quota.attachments import Attachment
from quota.budgets import (
    draw_from_pool,
    pool_left,
    pool_share,
    return_help,
    wants_help,
    wants_pool,
)
from quota.clock import ms_between, to_ms
from quota.desk import open_desk
from quota.lab import Lab
from quota.leases import Lease
from quota.ledger import Account
from quota.observed import Observed
from quota.reconcile import Advance, Seen, StopOrder, advance, deadline_of
from quota.store import reads, writes
from quota.store.engine import reading, transaction
from quota.store.office import attachments_by_account

# Upper edges of the histogram of enforcement lag, in seconds; 50 is the promise.
LAG_EDGES_S = (1, 2, 5, 10, 15, 20, 30, 50, 120)


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
    matched = match_leases(
        engine, lab, hub_id, given.observed, seen_at=given.seen_at, now=given.now
    )
    result.adopted += matched.adopted
    result.removals += matched.removals
    seen = Seen(at=given.seen_at, by_lease=matched.by_lease)
    with reading(engine) as tx:
        open_leases = reads.all_open_leases(tx, hub_id)
        rows = reads.account_rows(tx, open_leases)
        lots = reads.open_lots(tx, open_leases)
        helped = attachments_by_account(tx, hub_id)
        boosts = _boosts_given(tx, rows, lab, given.now)
        pools = _pools_left(tx, rows, lab, hub_id, given.now)
    quiet: list[tuple[UUID, datetime]] = []
    for row in rows:
        account, before = reads.account_of(row, lots[row["id"]]), open_leases[row["id"]]
        ahead = _advance(account, before, seen, lab, now=given.now, boosts=boosts, pools=pools)
        attachment = helped.get(account.id)
        if _is_quiet(account, before, ahead) and not _is_paid_by_others(
            account, ahead, attachment, lab, given.now
        ):
            quiet += _sightings(before, ahead.leases)
        else:
            ahead = _advance_locked(
                engine, account, seen, lab, now=given.now, result=result, attachment=attachment
            )
        _collect(result, ahead, lab, given.now)
    with transaction(engine, step="tick_seen") as tx:
        writes.mark_seen(tx, quiet)
        writes.set_counter(tx, "tick_at_ms", "", to_ms(given.now))
    return result


def _advance(
    account: Account,
    leases: list[Lease],
    seen: Seen,
    lab: Lab,
    *,
    now: datetime,
    boosts: Collection[UUID],
    pools: Mapping[str, GpuTime],
) -> Advance:
    section = lab.section_of(account.name)
    left = pools.get(section.name, GpuTime.ZERO) if section else GpuTime.ZERO
    pool = pool_share(lab, section, account, left, now)
    return advance(
        account, leases, seen, lab=lab, section=section, now=now, given=boosts, pool=pool
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


def _boosts_given(
    tx: Connection, rows: Sequence[RowMapping], lab: Lab, now: datetime
) -> Collection[UUID]:
    """Look up for all accounts at once which of the present boosts they have had."""
    if not lab.due_dates:
        return ()
    wanted = [
        lot_id
        for row in rows
        for lot_id in boost_ids(row["id"], lab, lab.section_of(row["name"]), row["name"], now)
    ]
    return reads.existing_lots(tx, wanted)


def _is_paid_by_others(
    account: Account, ahead: Advance, attachment: Attachment | None, lab: Lab, now: datetime
) -> bool:
    """Tell whether a pool or help budget has to be asked before this account goes on."""
    section = lab.section_of(account.name)
    return wants_help(account, ahead.leases, attachment, lab, now) or wants_pool(
        account, ahead.leases, lab, section, now
    )


def _advance_locked(
    engine: Engine,
    account: Account,
    seen: Seen,
    lab: Lab,
    *,
    now: datetime,
    result: TickResult,
    attachment: Attachment | None,
) -> Advance:
    with transaction(engine, step="tick_advances") as tx:
        desk = open_desk(tx, lab, account.hub_id, account.name, now=now)
        if attachment is not None:
            keep_helping(desk, attachment.id)
        if wants_pool(desk.account, desk.leases, lab, desk.section, now):
            draw_from_pool(desk, sum(one.weight_mgpu for one in desk.leases if one.is_running))
        given = reads.existing_lots(
            tx, boost_ids(account.id, lab, desk.section, account.name, now)
        )
        section = desk.section
        left = pool_left(tx, lab, account.hub_id, section, now)
        pools = {section.name: left} if section else {}
        ahead = _advance(desk.account, desk.leases, seen, lab, now=now, boosts=given, pools=pools)
        desk.save()
        for old, new in zip(desk.leases, ahead.leases, strict=True):
            writes.update_lease(tx, old, new)
            if new.state == "ended":
                result.ended += 1
                _count_end(tx, new)
        writes.save_notices(tx, ahead.notices)
        desk.leases = [lease for lease in ahead.leases if lease.is_open]
        if attachment is not None:
            keep_helping(desk, attachment.id)
        return_help(desk)
        desk.save()
    return ahead


def _is_quiet(account: Account, before: list[Lease], ahead: Advance) -> bool:
    """Tell whether nothing happened but that the sessions are still running."""
    if account.new_entries or account.changed_lots or ahead.notices:
        return False
    return all(
        replace(old, observed_until=new.observed_until, ref=new.ref) == new
        for old, new in zip(before, ahead.leases, strict=True)
    )


def _sightings(before: list[Lease], after: list[Lease]) -> list[tuple[UUID, datetime]]:
    return [
        (new.id, new.observed_until)
        for old, new in zip(before, after, strict=True)
        if new.observed_until is not None and new.observed_until != old.observed_until
    ]


def _collect(result: TickResult, ahead: Advance, lab: Lab, now: datetime) -> None:
    result.stops += ahead.stops
    result.removals += ahead.removals
    for lease in ahead.leases:
        if lease.is_running and lease.ref is not None:
            ending = ahead.endings.get(lease.id)
            at = deadline_of(ending.at if ending else None, lab, now)
            result.deadlines.append(Deadline(lease_id=lease.id, ref=lease.ref, at=at))
    ends = [at for at in (result.next_end_at, ahead.ends_at) if at is not None]
    result.next_end_at = min(ends, default=None)


def _count_end(tx: Connection, lease: Lease) -> None:
    writes.add_to_counter(tx, "sessions_ended", lease.end_reason or "", 1)
    if lease.end_reason != "exhausted" or lease.paid_until is None or lease.ended_at is None:
        return
    lag_ms = max(0, ms_between(lease.paid_until, lease.ended_at))
    writes.add_to_counter(tx, "enforcement_lag_ms", "sum", lag_ms)
    edge = next((edge for edge in LAG_EDGES_S if lag_ms <= edge * 1000), "+Inf")
    writes.add_to_counter(tx, "enforcement_lag_bucket", str(edge), 1)
