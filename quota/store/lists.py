"""Reading lists a page at a time: each page begins after the last entry of the one before."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, RowMapping, Table, and_, or_, select

from quota.amount import GpuTime
from quota.ledger import Lot
from quota.store.tables import accounts, lots

# What people give, apart from what the rules give each week.
_GIVEN = ("grant", "ta_grant", "request", "refund")
# Parameters of one statement: SQLite takes 32,766 at most.
_IDS_AT_ONCE = 5_000
_LOT_FIELDS = tuple(Lot.__slots__)


def account_names(tx: Connection, hub_id: str) -> list[str]:
    """Name all scholars who have an account."""
    query = select(accounts.c.name).where(
        accounts.c.hub_id == hub_id, accounts.c.kind == "scholar"
    )
    return list(tx.execute(query).scalars())


def grant_rows(
    tx: Connection, hub_id: str, *, account: str | None, after: tuple[datetime, UUID] | None,
    most: int,
) -> list[RowMapping]:  # fmt: skip
    """Read what was given by people, with the accounts' names, the oldest first."""
    query = (
        select(lots, accounts.c.name)
        .join(accounts, accounts.c.id == lots.c.account_id)
        .where(accounts.c.hub_id == hub_id, accounts.c.kind == "scholar")
        .where(lots.c.source.in_(_GIVEN))
        .order_by(lots.c.starts_at, lots.c.id)
        .limit(most)
    )
    if account is not None:
        query = query.where(accounts.c.name == account)
    if after is not None:
        query = query.where(later(lots, "starts_at", after))
    return list(tx.execute(query).mappings())


def newest_grants(
    tx: Connection, hub_id: str, *, account: str | None, most: int
) -> list[RowMapping]:
    """Read what people gave last, with the accounts' names, the newest first."""
    query = (
        select(lots, accounts.c.name)
        .join(accounts, accounts.c.id == lots.c.account_id)
        .where(accounts.c.hub_id == hub_id, accounts.c.kind == "scholar")
        .where(lots.c.source.in_(_GIVEN))
        .order_by(lots.c.starts_at.desc(), lots.c.id)
        .limit(most)
    )
    if account is not None:
        query = query.where(accounts.c.name == account)
    return list(tx.execute(query).mappings())


def lots_named(tx: Connection, ids: Sequence[UUID]) -> list[tuple[UUID, GpuTime, str]]:
    """Read amount and reason of those lots that exist."""
    found: list[tuple[UUID, GpuTime, str]] = []
    for start in range(0, len(ids), _IDS_AT_ONCE):
        query = select(lots.c.id, lots.c.amount, lots.c.reason).where(
            lots.c.id.in_(ids[start : start + _IDS_AT_ONCE])
        )
        found += [(row.id, row.amount, row.reason) for row in tx.execute(query)]
    return found


def scholar_rows(tx: Connection, hub_id: str) -> list[RowMapping]:
    """Read all scholars' accounts, by name."""
    query = select(accounts).where(accounts.c.hub_id == hub_id, accounts.c.kind == "scholar")
    return list(tx.execute(query.order_by(accounts.c.name)).mappings())


def lots_at(tx: Connection, hub_id: str, now: datetime) -> dict[int, list[Lot]]:
    """Read the lots of all scholars that are open, or whose time is not over, by account."""
    query = (
        select(lots)
        .join(accounts, accounts.c.id == lots.c.account_id)
        .where(accounts.c.hub_id == hub_id, accounts.c.kind == "scholar")
        .where(or_(lots.c.closed_at.is_(None), lots.c.ends_at > now))
    )
    found: dict[int, list[Lot]] = {}
    for row in tx.execute(query).mappings():
        lot = Lot(**{name: row[name] for name in _LOT_FIELDS})
        found.setdefault(row["account_id"], []).append(lot)
    return found


def grants_named(tx: Connection, hub_id: str, ids: Sequence[UUID]) -> list[RowMapping]:
    """Read those of some grants that exist, with the accounts' names, by name."""
    found: list[RowMapping] = []
    for start in range(0, len(ids), _IDS_AT_ONCE):
        query = (
            select(lots, accounts.c.name)
            .join(accounts, accounts.c.id == lots.c.account_id)
            .where(accounts.c.hub_id == hub_id)
            .where(lots.c.id.in_(ids[start : start + _IDS_AT_ONCE]))
        )
        found += tx.execute(query).mappings()
    return sorted(found, key=lambda row: str(row["name"]))


def later(table: Table, instant: str, after: tuple[datetime, UUID]) -> ColumnElement[bool]:
    """Say that a row stands behind the last one of the page before."""
    at, last_id = after
    column = table.c[instant]
    return or_(column > at, and_(column == at, table.c.id > last_id))
