"""Reading the books. Whoever is going to write takes the account's lock with the first read."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, Select, bindparam, func, select

from quota.amount import GpuTime
from quota.leases import Lease
from quota.ledger import Account, Lot
from quota.placement import Ask, GpuUse
from quota.store.tables import accounts, counters, entries, gpus, leases, lots, notices
from quota.waiting import Waiter

LEASE_FIELDS = tuple(Lease.__slots__)
LOT_FIELDS = tuple(Lot.__slots__)
GPU_FIELDS = tuple(GpuUse.__slots__)

# Built once: putting a statement together takes longer than the database takes to answer it, and
# each of these is in the path of every admission.
_ACCOUNT = select(accounts).where(
    accounts.c.hub_id == bindparam("hub"),
    accounts.c.kind == bindparam("kind"),
    accounts.c.name == bindparam("who"),
)
_ACCOUNT_LOCKED = _ACCOUNT.with_for_update()
_OPEN_LOTS = select(lots).where(
    lots.c.account_id.in_(bindparam("ids", expanding=True)), lots.c.closed_at.is_(None)
)
_LEASE = select(leases).where(leases.c.id == bindparam("lease"))
_OPEN_LEASES = (
    select(leases)
    .where(leases.c.account_id == bindparam("account"), leases.c.state != "ended")
    .order_by(leases.c.requested_at)
)
_GPUS = select(gpus).where(gpus.c.hub_id == bindparam("hub")).order_by(gpus.c.uuid)
_GPU = select(gpus).where(gpus.c.uuid == bindparam("gpu"))
_WAITERS = (
    select(leases, accounts.c.name.label("account"))
    .join(accounts, accounts.c.id == leases.c.account_id)
    .where(
        accounts.c.hub_id == bindparam("hub"),
        leases.c.state == "waiting",
        leases.c.gpu_uuid.is_(None),
        leases.c.asked_at > bindparam("since"),
    )
)
_STARTING = (
    select(func.count())
    .select_from(leases.join(accounts, accounts.c.id == leases.c.account_id))
    .where(
        accounts.c.hub_id == bindparam("hub"),
        leases.c.state == "held",
        leases.c.gpu_uuid.is_not(None),
    )
)


def account_row(
    tx: Connection, hub_id: str, name: str, *, kind: str = "scholar", lock: bool = False
) -> RowMapping | None:
    """Find an account's row; with `lock` nobody else can change it until the commit."""
    query = _ACCOUNT_LOCKED if lock else _ACCOUNT
    return tx.execute(query, {"hub": hub_id, "kind": kind, "who": name}).mappings().one_or_none()


def account_rows(tx: Connection, ids: Iterable[int], *, lock: bool = False) -> list[RowMapping]:
    """Read accounts by id, in id order, so that two lockers never wait for each other."""
    query = select(accounts).where(accounts.c.id.in_(list(ids))).order_by(accounts.c.id)
    return list(tx.execute(_locked(query, lock=lock)).mappings())


def lock_scholars(tx: Connection, hub_id: str, names: Iterable[str]) -> None:
    """Lock the accounts that are there already, in id order."""
    query = select(accounts.c.id).where(
        accounts.c.hub_id == hub_id, accounts.c.kind == "scholar", accounts.c.name.in_(list(names))
    )
    tx.execute(query.order_by(accounts.c.id).with_for_update()).all()


def account_of(row: RowMapping, open_lots: list[Lot]) -> Account:
    """Put an account together from its row and its open lots."""
    return Account(
        id=row["id"],
        hub_id=row["hub_id"],
        kind=row["kind"],
        name=row["name"],
        posted=row["posted"],
        held=row["held"],
        debt=row["debt"],
        seq=row["seq"],
        head=row["head"],
        allowance_from=row["allowance_from"],
        lots=open_lots,
    )


def open_lots(tx: Connection, account_ids: Iterable[int]) -> dict[int, list[Lot]]:
    """Read the lots that can still be drawn from, by account."""
    found: dict[int, list[Lot]] = {account_id: [] for account_id in account_ids}
    for row in tx.execute(_OPEN_LOTS, {"ids": list(found)}).mappings():
        found[row["account_id"]].append(_lot(row))
    return found


def existing_lots(tx: Connection, ids: Collection[UUID]) -> frozenset[UUID]:
    """Return which of these lots have been given, open or closed."""
    if not ids:
        return frozenset()
    return frozenset(tx.execute(select(lots.c.id).where(lots.c.id.in_(list(ids)))).scalars())


def lots_since(tx: Connection, account_id: int, since: datetime) -> list[Lot]:
    """Read an account's lots that end after an instant, used up or not."""
    query = select(lots).where(lots.c.account_id == account_id, lots.c.ends_at > since)
    return [_lot(row) for row in tx.execute(query.order_by(lots.c.ends_at)).mappings()]


def lot_by_id(tx: Connection, lot_id: UUID) -> RowMapping | None:
    """Find one lot."""
    return tx.execute(select(lots).where(lots.c.id == lot_id)).mappings().one_or_none()


def lease_by_id(tx: Connection, lease_id: UUID) -> Lease | None:
    """Find one lease, open or ended."""
    row = tx.execute(_LEASE, {"lease": lease_id}).mappings().one_or_none()
    return None if row is None else _lease(row)


def leases_by_id(tx: Connection, ids: Iterable[UUID]) -> dict[UUID, Lease]:
    """Find leases, open or ended."""
    query = select(leases).where(leases.c.id.in_(list(ids)))
    return {row["id"]: _lease(row) for row in tx.execute(query).mappings()}


def open_leases(tx: Connection, account_id: int) -> list[Lease]:
    """Read an account's leases that have not ended."""
    return [_lease(row) for row in tx.execute(_OPEN_LEASES, {"account": account_id}).mappings()]


def open_leases_of(tx: Connection, account_ids: Iterable[int]) -> dict[int, list[Lease]]:
    """Read the leases of many accounts that have not ended, by account."""
    found: dict[int, list[Lease]] = {account_id: [] for account_id in account_ids}
    query = select(leases).where(leases.c.account_id.in_(list(found)), leases.c.state != "ended")
    for row in tx.execute(query.order_by(leases.c.requested_at, leases.c.id)).mappings():
        found[row["account_id"]].append(_lease(row))
    return found


def all_open_leases(tx: Connection, hub_id: str) -> dict[int, list[Lease]]:
    """Read every open lease of a hub, by account."""
    query = (
        select(leases)
        .join(accounts, accounts.c.id == leases.c.account_id)
        .where(accounts.c.hub_id == hub_id, leases.c.state != "ended")
        .order_by(leases.c.account_id, leases.c.requested_at)
    )
    found: dict[int, list[Lease]] = {}
    for row in tx.execute(query).mappings():
        found.setdefault(row["account_id"], []).append(_lease(row))
    return found


def gpu_uses(tx: Connection, hub_id: str) -> tuple[GpuUse, ...]:
    """Read the GPUs and what is taken of them."""
    rows = tx.execute(_GPUS, {"hub": hub_id}).mappings()
    return tuple(gpu_of([row[name] for name in GPU_FIELDS]) for row in rows)


def gpu(tx: Connection, uuid: str) -> GpuUse | None:
    """Read one GPU."""
    row = tx.execute(_GPU, {"gpu": uuid}).mappings().one_or_none()
    return None if row is None else gpu_of([row[name] for name in GPU_FIELDS])


def gpu_of(row: Sequence[Any]) -> GpuUse:
    """Put a GPU together from the columns `GPU_FIELDS`."""
    return _gpu(tuple(row))


# Of all GPUs that each admission looks at, one or two have changed since the one before.
@lru_cache(maxsize=4096)
def _gpu(row: tuple[Any, ...]) -> GpuUse:
    return GpuUse(**dict(zip(GPU_FIELDS, row, strict=True)))


def waiters(tx: Connection, hub_id: str, *, asked_since: datetime) -> list[Waiter]:
    """Read the line: who has no slot yet and has asked lately."""
    rows = tx.execute(_WAITERS, {"hub": hub_id, "since": asked_since}).mappings()
    return [waiter_of(_lease(row), row["account"]) for row in rows]


def waiter_of(lease: Lease, account: str) -> Waiter:
    """Turn a waiting lease into its place in the line."""
    return Waiter(
        lease_id=lease.id,
        ask=Ask(lease.share_mgpu, lease.memory_mib),
        requested_at=lease.requested_at,
        flavor=lease.flavor,
        account=account,
        used_permille=lease.used_permille or 0,
    )


def count_starting(tx: Connection, hub_id: str) -> int:
    """Count GPU sessions that are admitted and not yet running."""
    return tx.execute(_STARTING, {"hub": hub_id}).scalar_one()


def charges(tx: Connection, account_id: int, *, newest: int) -> list[RowMapping]:
    """Read the newest charges; what several lots paid of one interval comes as one line."""
    query = (
        select(
            entries.c.lease_id,
            entries.c.from_at,
            entries.c.until_at,
            func.sum(entries.c.posted, type_=entries.c.posted.type).label("posted"),
        )
        .where(entries.c.account_id == account_id, entries.c.kind == "charge")
        .group_by(entries.c.lease_id, entries.c.from_at, entries.c.until_at)
        .order_by(entries.c.from_at.desc())
        .limit(newest)
    )
    return list(tx.execute(query).mappings())


def charged_by_lease(tx: Connection, ids: Iterable[UUID]) -> dict[UUID, GpuTime]:
    """Sum what was posted for leases."""
    total = func.sum(entries.c.posted, type_=entries.c.posted.type)
    query = select(entries.c.lease_id, total).where(
        entries.c.lease_id.in_(list(ids)), entries.c.kind == "charge"
    )
    return {row[0]: -row[1] for row in tx.execute(query.group_by(entries.c.lease_id))}


def recent_notices(tx: Connection, account_id: int, *, newest: int) -> list[RowMapping]:
    """Read what was told to an account last."""
    query = select(notices).where(notices.c.account_id == account_id)
    query = query.order_by(notices.c.at.desc(), notices.c.id).limit(newest)
    return list(tx.execute(query).mappings())


def all_counters(tx: Connection) -> dict[tuple[str, str], int]:
    """Read the worker's totals."""
    rows = tx.execute(select(counters)).mappings()
    return {(row["name"], row["label"]): row["value"] for row in rows}


def _locked(query: Select[Any], *, lock: bool) -> Select[Any]:
    # SQLite ignores FOR UPDATE; there BEGIN IMMEDIATE has the lock already.
    return query.with_for_update() if lock else query


def lease_of(row: Sequence[Any]) -> Lease:
    """Put a lease together from the columns `LEASE_FIELDS`."""
    return Lease(**dict(zip(LEASE_FIELDS, row, strict=True)))


def lot_of(row: Sequence[Any]) -> Lot:
    """Put a lot together from the columns `LOT_FIELDS`."""
    return Lot(**dict(zip(LOT_FIELDS, row, strict=True)))


def _lease(row: RowMapping) -> Lease:
    return Lease(**{name: row[name] for name in LEASE_FIELDS})


def _lot(row: RowMapping) -> Lot:
    return Lot(**{name: row[name] for name in LOT_FIELDS})
