"""Matching what the runtime shows with leases; what runs without one gets one, and is charged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID, uuid5

from sqlalchemy import Connection, Engine

from quota.admission import ask_of
from quota.lab import Lab
from quota.leases import Lease, stopping
from quota.observed import Observed
from quota.store import reads, slots, writes
from quota.store.engine import reading, transaction

# Leases for what runs without one get ids derived from the container, so that adopting twice is
# once.
_ADOPTED = UUID("0d3f5f5e-6f0b-5b7a-8a53-1f8a7a0c2b44")


@dataclass(slots=True, kw_only=True)
class Matched:
    """What is seen by its lease, what was adopted, and what can be removed."""

    by_lease: dict[UUID, Observed] = field(default_factory=dict)
    adopted: list[Observed] = field(default_factory=list)
    removals: list[str] = field(default_factory=list)


def match_leases(
    engine: Engine, lab: Lab, hub_id: str, observed: Sequence[Observed],
    open_leases: Mapping[UUID, Lease], *, seen_at: datetime, now: datetime,
) -> Matched:  # fmt: skip
    """Match what is seen with leases; what has none gets one, or is ready to be removed.

    `open_leases` are those that were open a moment ago, by id.
    """
    known = dict(open_leases)
    # Nearly all were seen before, under the lease that they name; only the rest is looked up.
    others = [one for one in observed if not _is_known_of(one, open_leases)]
    if others:
        ids = {id_ for one in others for id_ in (_wanted_id(one), uuid5(_ADOPTED, one.ref))}
        with reading(engine) as tx:
            known |= reads.leases_by_id(tx, ids)
    found = Matched()
    for one in sorted(observed, key=_latest_last):
        lease = _match(one, known, found.by_lease, seen_at=seen_at)
        if lease is None:
            adopted_id = _adopt(engine, lab, hub_id, one, known, now=now)
            if adopted_id is not None:
                found.by_lease[adopted_id] = one
                found.adopted.append(one)
        elif lease.is_open:
            found.by_lease[lease.id] = one
        elif not one.is_running:
            found.removals.append(one.ref)
    return found


def _latest_last(one: Observed) -> tuple[bool, str]:
    # Of two containers with one lease the running one keeps it.
    return (not one.is_running, one.ref)


def _wanted_id(one: Observed) -> UUID:
    return one.lease_id if one.lease_id is not None else uuid5(_ADOPTED, one.ref)


def _is_known_of(one: Observed, open_leases: Mapping[UUID, Lease]) -> bool:
    lease = None if one.lease_id is None else open_leases.get(one.lease_id)
    return lease is not None and lease.ref == one.ref


def _match(
    one: Observed, known: dict[UUID, Lease], taken: dict[UUID, Observed], *, seen_at: datetime
) -> Lease | None:
    """Find the lease that pays for this; None when one has to be made."""
    lease = known.get(one.lease_id) if one.lease_id is not None else None
    if lease is None or not lease.is_open or lease.ref != one.ref:
        lease = known.get(uuid5(_ADOPTED, one.ref)) or lease
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

    A CPU session that was started while the service was away goes on, and so does a GPU session
    that an emergency let start, if there is room for it where it is. Any other GPU session without
    a lease has no slot: it is charged and stopped. One that was adopted before, and was missed in
    a listing since, has its lease opened again.
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
        if earlier is None and reads.lease_by_id(tx, lease_id) is not None:
            return None  # the hub has told of it just now: the next look finds its lease
        adopted = _with_slot(tx, adopted, one, lab, now)
        if earlier is not None and earlier.id == lease_id:
            writes.update_lease(tx, earlier, adopted)
        else:
            writes.insert_lease(tx, adopted)
    return lease_id


def _with_slot(tx: Connection, lease: Lease, one: Observed, lab: Lab, now: datetime) -> Lease:
    """Let a session of an emergency go on where it is; one whose room others have has to go."""
    flavor = lab.flavors.get(one.flavor)
    if one.emergency_until is None or flavor is None or not flavor.is_gpu:
        return lease
    lease = replace(lease, state="active", stop_reason=None, stop_asked_at=None)
    if not one.is_running:
        return lease
    if not slots.take_gpu(tx, one.gpu_uuid, ask_of(flavor), max_sharers=lab.gpus.max_sharers):
        return stopping(lease, reason="displaced", at=now)
    return replace(lease, gpu_uuid=one.gpu_uuid, share_mgpu=flavor.share_mgpu,
                   memory_mib=flavor.memory_mib)  # fmt: skip


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
