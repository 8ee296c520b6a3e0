"""One pass of the worker over the books: what really runs goes in, what has to be done comes out.

Most leases are simply still running: all of those are written in one statement. Only accounts
where more happened are locked, loaded again and advanced, each in its own transaction, so that
one slow or broken account never holds up the rest.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID, uuid5

from sqlalchemy import Connection, Engine, RowMapping

from quota.allowances import boost_ids
from quota.attaching import keep_helping
from quota.attachments import Attachment
from quota.budgets import draw_from_pool, return_help, wants_help, wants_pool
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

# Leases for what runs without one get ids derived from the container, so that adopting twice is
# once.
_ADOPTED = UUID("0d3f5f5e-6f0b-5b7a-8a53-1f8a7a0c2b44")

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
    by_lease = _adopt_strays(engine, lab, hub_id, given, result)
    seen = Seen(at=given.seen_at, by_lease=by_lease)
    with reading(engine) as tx:
        open_leases = reads.all_open_leases(tx, hub_id)
        rows = reads.account_rows(tx, open_leases)
        lots = reads.open_lots(tx, open_leases)
        helped = attachments_by_account(tx, hub_id)
        boosts = _boosts_given(tx, rows, lab, given.now)
    quiet: list[tuple[UUID, datetime]] = []
    for row in rows:
        account, before = reads.account_of(row, lots[row["id"]]), open_leases[row["id"]]
        ahead = _advance(account, before, seen, lab, now=given.now, boosts=boosts)
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
) -> Advance:
    section = lab.section_of(account.name)
    return advance(account, leases, seen, lab=lab, section=section, now=now, given=boosts)


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
        ahead = _advance(desk.account, desk.leases, seen, lab, now=now, boosts=given)
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


# -- what runs without an open lease -------------------------------------------------------------


def _adopt_strays(
    engine: Engine, lab: Lab, hub_id: str, given: TickInput, result: TickResult
) -> dict[UUID, Observed]:
    """Match what is seen with leases; what has none gets one, or is ready to be removed."""
    ids = {_wanted_id(one) for one in given.observed}
    ids |= {uuid5(_ADOPTED, one.ref) for one in given.observed}
    with reading(engine) as tx:
        known = reads.leases_by_id(tx, ids)
    by_lease: dict[UUID, Observed] = {}
    for one in sorted(given.observed, key=_latest_last):
        lease = _match(one, known, by_lease, seen_at=given.seen_at)
        if lease is None:
            adopted_id = _adopt(engine, lab, hub_id, one, known, now=given.now)
            if adopted_id is not None:
                by_lease[adopted_id] = one
                result.adopted.append(one)
        elif lease.is_open:
            by_lease[lease.id] = one
        elif not one.is_running:
            result.removals.append(one.ref)
    return by_lease


def _latest_last(one: Observed) -> tuple[bool, str]:
    # Of two containers with one lease the running one keeps it.
    return (not one.is_running, one.ref)


def _wanted_id(one: Observed) -> UUID:
    return one.lease_id if one.lease_id is not None else uuid5(_ADOPTED, one.ref)


def _match(
    one: Observed, known: dict[UUID, Lease], taken: dict[UUID, Observed], *, seen_at: datetime
) -> Lease | None:
    """Find the lease that pays for this; None when one has to be made."""
    lease = known.get(uuid5(_ADOPTED, one.ref))
    if lease is None and one.lease_id is not None:
        lease = known.get(one.lease_id)
    if lease is None or lease.id in taken:
        return None
    is_owner = lease.is_open or one.started_at is None or _is_charged(lease, one, seen_at)
    return lease if is_owner else None


def _is_charged(lease: Lease, one: Observed, seen_at: datetime) -> bool:
    """Tell whether an ended lease has paid for all that this observation knows of.

    It has not where a listing missed the container, so that the lease was ended too early.
    """
    if lease.ref != one.ref or lease.charged_until is None:
        return False
    return lease.charged_until >= (one.finished_at or seen_at)


def _adopt(
    engine: Engine, lab: Lab, hub_id: str, one: Observed, known: dict[UUID, Lease], *,
    now: datetime,
) -> UUID | None:  # fmt: skip
    """Open a lease for what runs without one, from its real start, so that it is charged.

    A CPU session that was started while the service was away goes on. A GPU session without a
    lease has no slot: it is charged and stopped. One that was adopted before, and was missed in a
    listing since, has its lease opened again.
    """
    if one.started_at is None:
        return None
    earlier = known.get(uuid5(_ADOPTED, one.ref)) or known.get(_wanted_id(one))
    lease_id = _wanted_id(one) if earlier is None else uuid5(_ADOPTED, one.ref)
    with transaction(engine, step="tick_adopts") as tx:
        writes.create_account(tx, hub_id, one.account)
        row = reads.account_row(tx, hub_id, one.account, lock=True)
        assert row is not None, "just made"
        taken = {lease.server_name for lease in reads.open_leases(tx, row["id"])}
        name = one.server_name
        adopted = _adopted_lease(
            lease_id,
            row["id"],
            one,
            lab,
            started_at=_unpaid_from(one, earlier),
            server_name=name if name not in taken else f"{name}#{one.ref[:12]}",
            now=now,
        )
        if earlier is not None and earlier.id == lease_id:
            writes.update_lease(tx, earlier, adopted)
        else:
            writes.insert_lease(tx, adopted)
    return lease_id


def _unpaid_from(one: Observed, earlier: Lease | None) -> datetime:
    assert one.started_at is not None
    if earlier is None or earlier.ref != one.ref or earlier.charged_until is None:
        return one.started_at
    return max(one.started_at, earlier.charged_until)


def _adopted_lease(
    lease_id: UUID, account_id: int, one: Observed, lab: Lab, *, started_at: datetime,
    server_name: str, now: datetime,
) -> Lease:  # fmt: skip
    flavor = lab.flavors.get(one.flavor)
    weight = flavor.weight_mgpu if flavor else 0
    return Lease(
        id=lease_id,
        account_id=account_id,
        server_name=server_name,
        flavor=one.flavor,
        image="",
        state="active" if weight == 0 else "stopping",
        weight_mgpu=weight,
        share_mgpu=0,
        memory_mib=0,
        requested_at=now,
        asked_at=now,
        ref=one.ref,
        started_at=started_at,
        observed_until=started_at,
        charged_until=started_at,
        stop_reason=None if weight == 0 else "orphan",
        stop_asked_at=None if weight == 0 else now,
    )
