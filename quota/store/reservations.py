"""Reading and writing what scholars have reserved ahead."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Connection,
    RowMapping,
    Select,
    bindparam,
    exists,
    func,
    insert,
    select,
    update,
)

from quota.kept_shares import KeptShare, Occupant
from quota.leases import Lease
from quota.placement import Ask
from quota.reservations import Reservation
from quota.store.lists import later
from quota.store.statements import Statement, fetch
from quota.store.tables import accounts, leases
from quota.store.tables_reservations import reservations

_FIELDS = tuple(Reservation.__slots__)
_IS_TAKEN = exists().where(
    leases.c.account_id == reservations.c.account_id,
    leases.c.gpu_uuid == reservations.c.gpu_uuid,
    leases.c.state != "ended",
    leases.c.share_mgpu >= reservations.c.share_mgpu,
    leases.c.memory_mib >= reservations.c.memory_mib,
)
KEPT_SHARES = Statement(
    select(
        reservations.c.id, accounts.c.name, reservations.c.gpu_uuid, reservations.c.share_mgpu,
        reservations.c.memory_mib, reservations.c.starts_at, reservations.c.ends_at,
        _IS_TAKEN.label("is_taken"),
    )
    .join(accounts, accounts.c.id == reservations.c.account_id)
    .where(
        accounts.c.hub_id == bindparam("hub"), reservations.c.state == "open",
        reservations.c.ends_at > bindparam("now"),
    )
)  # fmt: skip
"""What is kept of the GPUs of a hub from now on, and whether its scholars have it already."""


def share_of(row: Sequence[Any]) -> KeptShare:
    """Put a kept share together from a row of `KEPT_SHARES`."""
    key, name, gpu_uuid, share_mgpu, memory_mib, starts_at, ends_at, is_taken = row
    return KeptShare(
        reservation_id=key, account=name, gpu_uuid=gpu_uuid, ask=Ask(share_mgpu, memory_mib),
        starts_at=starts_at, ends_at=ends_at, is_taken=bool(is_taken),
    )  # fmt: skip


def kept_shares(tx: Connection, hub_id: str, now: datetime) -> list[KeptShare]:
    """Read what is kept of the GPUs of a hub."""
    (rows,) = fetch(tx, (KEPT_SHARES, {"hub": hub_id, "now": now}))
    return [share_of(row) for row in rows]


def reservation(tx: Connection, key: UUID, *, lock: bool = False) -> Reservation | None:
    """Find one reservation."""
    query = select(reservations).where(reservations.c.id == key)
    row = tx.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    return None if row is None else _reservation(row)


def open_of(tx: Connection, account_id: int, now: datetime) -> list[Reservation]:
    """Read what a scholar has reserved from now on."""
    query = select(reservations).where(
        reservations.c.account_id == account_id, reservations.c.state == "open",
        reservations.c.ends_at > now,
    )  # fmt: skip
    return [_reservation(row) for row in tx.execute(query).mappings()]


def all_open(tx: Connection, hub_id: str) -> list[tuple[str, Reservation]]:
    """Read everything that is not closed, with the scholars' names, the first to come first."""
    query = _of_hub(hub_id).where(reservations.c.state == "open")
    query = query.order_by(reservations.c.starts_at, reservations.c.id)
    return [(row["name"], _reservation(row)) for row in tx.execute(query).mappings()]


def reservations_of(
    tx: Connection, hub_id: str, *, account: str | None, after: tuple[datetime, UUID] | None,
    most: int,
) -> list[tuple[str, Reservation]]:  # fmt: skip
    """Read reservations with the scholars' names, the first to begin first."""
    query = _of_hub(hub_id).order_by(reservations.c.starts_at, reservations.c.id).limit(most)
    if account is not None:
        query = query.where(accounts.c.name == account)
    if after is not None:
        query = query.where(later(reservations, "starts_at", after))
    return [(row["name"], _reservation(row)) for row in tx.execute(query).mappings()]


def newest_of(tx: Connection, hub_id: str, account: str, *, most: int) -> list[Reservation]:
    """Read a scholar's own, the last to begin first."""
    query = _of_hub(hub_id).where(accounts.c.name == account).limit(most)
    query = query.order_by(reservations.c.starts_at.desc(), reservations.c.id)
    return [_reservation(row) for row in tx.execute(query).mappings()]


def insert_reservation(tx: Connection, one: Reservation) -> None:
    """Write a new one."""
    tx.execute(insert(reservations), {name: getattr(one, name) for name in _FIELDS})


def update_reservation(tx: Connection, one: Reservation) -> None:
    """Write what became of one."""
    values = {name: getattr(one, name) for name in _FIELDS if name != "id"}
    tx.execute(update(reservations).where(reservations.c.id == one.id).values(**values))


# -- who is on the GPUs --------------------------------------------------------------------------


def occupants(some: Iterable[tuple[str, Lease]]) -> list[Occupant]:
    """Tell who is on which GPU, of open leases with their accounts' names."""
    return [
        Occupant(
            lease_id=lease.id, account=name, gpu_uuid=lease.gpu_uuid,
            ask=Ask(lease.share_mgpu, lease.memory_mib),
            held_at=lease.held_at or lease.requested_at, yields_at=lease.yields_at,
            yields_to=lease.yields_to,
        )
        for name, lease in some if lease.gpu_uuid is not None
    ]  # fmt: skip


def gpu_leases(tx: Connection, hub_id: str) -> list[tuple[str, Lease]]:
    """Read the open leases of a hub that hold or wait for a GPU, with their accounts' names."""
    query = (
        select(leases, accounts.c.name.label("account"))
        .join(accounts, accounts.c.id == leases.c.account_id)
        .where(accounts.c.hub_id == hub_id, leases.c.state != "ended", leases.c.share_mgpu > 0)
        .order_by(leases.c.requested_at, leases.c.id)
    )
    return [
        (row["account"], Lease(**{name: row[name] for name in Lease.__slots__}))
        for row in tx.execute(query).mappings()
    ]


def last_ends(tx: Connection, account_ids: Collection[int]) -> dict[int, datetime]:
    """Tell when the last session on a GPU of some accounts ended."""
    query = (
        select(leases.c.account_id, func.max(leases.c.ended_at, type_=leases.c.ended_at.type))
        .where(leases.c.account_id.in_(list(account_ids)), leases.c.share_mgpu > 0)
        .where(leases.c.started_at.is_not(None), leases.c.ended_at.is_not(None))
        .group_by(leases.c.account_id)
    )
    return {row[0]: row[1] for row in tx.execute(query)}


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything that is reserved, and who is on the GPUs meanwhile, as it is in the books."""

    reserved: list[tuple[str, Reservation]]
    leases: list[tuple[str, Lease]]
    last_ends: dict[int, datetime]


def standing(tx: Connection, hub_id: str) -> Standing | None:
    """Read how reservations stand; None where there are none and nobody makes room for one."""
    reserved = all_open(tx, hub_id)
    found = gpu_leases(tx, hub_id) if reserved or _somebody_yields(tx, hub_id) else []
    if not reserved and not found:
        return None
    return Standing(reserved, found, last_ends(tx, {one.account_id for _, one in reserved}))


def _somebody_yields(tx: Connection, hub_id: str) -> bool:
    query = (
        select(leases.c.id)
        .join(accounts, accounts.c.id == leases.c.account_id)
        .where(accounts.c.hub_id == hub_id, leases.c.state != "ended")
        .where(leases.c.yields_to.is_not(None))
        .limit(1)
    )
    return tx.execute(query).first() is not None


def _of_hub(hub_id: str) -> Select[Any]:
    return (
        select(reservations, accounts.c.name)
        .join(accounts, accounts.c.id == reservations.c.account_id)
        .where(accounts.c.hub_id == hub_id)
    )


def _reservation(row: RowMapping) -> Reservation:
    return Reservation(**{name: row[name] for name in _FIELDS})
