"""Reading what was used: charges of a time, by account, section, lot, for reports and exports."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    and_,
    case,
    func,
    or_,
    select,
)

from quota.amount import GpuTime
from quota.clock import ms_between
from quota.store.tables import accounts, entries, leases, lots

# Parameters of one statement: SQLite takes 32,766 at most.
_IDS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeLine:
    """One charged interval of a session, whatever lots paid it."""

    account: str
    lease_id: UUID
    flavor: str
    from_at: datetime
    until_at: datetime
    amount: GpuTime


@dataclass(frozen=True, slots=True, kw_only=True)
class LotUse:
    """What entries of one kind moved in a lot."""

    lot_id: UUID | None
    kind: str
    amount: GpuTime


def charge_lines(
    tx: Connection, account_id: int, since: datetime, until: datetime
) -> list[ChargeLine]:
    """Read an account's charges that touch [since, until), without those a help budget paid."""
    query = (
        _charges(since, until)
        .outerjoin(lots, lots.c.id == entries.c.lot_id)
        .where(entries.c.account_id == account_id)
        .where(or_(lots.c.source.is_(None), lots.c.source != "help"))
    )
    return [_line(row) for row in tx.execute(query).mappings()]


def usage_lines(
    tx: Connection, hub_id: str, since: datetime, until: datetime, *,
    names: Sequence[str] | None = None,
) -> Iterator[ChargeLine]:  # fmt: skip
    """Read the charges of many accounts that touch [since, until); streams."""
    query = _charges(since, until).where(accounts.c.hub_id == hub_id)
    query = query.order_by(accounts.c.name, entries.c.from_at)
    if names is None:
        yield from (_line(row) for row in tx.execute(query).mappings())
        return
    for start in range(0, len(names), _IDS_AT_ONCE):
        some = query.where(accounts.c.name.in_(names[start : start + _IDS_AT_ONCE]))
        yield from (_line(row) for row in tx.execute(some).mappings())


def charged_accounts(tx: Connection, hub_id: str, since: datetime, until: datetime) -> list[str]:
    """Name who was charged, or has a session running that began, before `until`."""
    charged = (
        select(accounts.c.name)
        .join(entries, entries.c.account_id == accounts.c.id)
        .where(accounts.c.hub_id == hub_id, _touches(since, until))
    )
    running = (
        select(accounts.c.name)
        .join(leases, leases.c.account_id == accounts.c.id)
        .where(accounts.c.hub_id == hub_id, leases.c.state.in_(("active", "stopping")))
        .where(leases.c.started_at < until)
    )
    return sorted(set(tx.execute(charged.union(running)).scalars()))


def lot_uses(tx: Connection, account_id: int, lot_ids: Sequence[UUID]) -> list[LotUse]:
    """Sum an account's entries by lot and kind."""
    total = func.sum(entries.c.posted, type_=entries.c.posted.type)
    query = (
        select(entries.c.lot_id, entries.c.kind, total.label("amount"))
        .where(entries.c.account_id == account_id, entries.c.lot_id.in_(list(lot_ids)))
        .group_by(entries.c.lot_id, entries.c.kind)
    )
    return [
        LotUse(lot_id=row["lot_id"], kind=row["kind"], amount=row["amount"])
        for row in tx.execute(query).mappings()
    ]


def usage_sums(
    tx: Connection, hub_id: str, since: datetime, until: datetime, names: Sequence[str]
) -> dict[str, GpuTime]:
    """Sum for each account what intervals that begin in [since, until) cost.

    Charges are split where weeks end, so for a week this is exact.
    """
    total = func.sum(entries.c.posted, type_=entries.c.posted.type)
    found: dict[str, GpuTime] = {}
    for start in range(0, len(names), _IDS_AT_ONCE):
        query = (
            select(accounts.c.name, total)
            .join(entries, entries.c.account_id == accounts.c.id)
            .where(accounts.c.hub_id == hub_id, accounts.c.kind == "scholar")
            .where(accounts.c.name.in_(names[start : start + _IDS_AT_ONCE]))
            .where(entries.c.kind == "charge")
            .where(entries.c.from_at >= since, entries.c.from_at < until)
            .group_by(accounts.c.name)
        )
        found |= {row[0]: -row[1] for row in tx.execute(query)}
    return found


def charged_leases(
    tx: Connection, account_id: int, *, before: tuple[datetime, UUID] | None, newest: int
) -> list[tuple[UUID, datetime, GpuTime]]:
    """Sum an account's charges by session, the newest first: which, from when on, how much."""
    begun = func.min(entries.c.from_at, type_=entries.c.from_at.type)
    total = func.sum(entries.c.posted, type_=entries.c.posted.type)
    query = (
        select(entries.c.lease_id, begun, total)
        .where(entries.c.account_id == account_id, entries.c.kind == "charge")
        .group_by(entries.c.lease_id)
        .order_by(begun.desc(), entries.c.lease_id.desc())
        .limit(newest)
    )
    if before is not None:
        at, lease_id = before
        query = query.having(or_(begun < at, and_(begun == at, entries.c.lease_id < lease_id)))
    return [(row[0], row[1], -row[2]) for row in tx.execute(query)]


def used_since(tx: Connection, account_id: int, starts: Sequence[datetime]) -> list[GpuTime]:
    """Sum what an account was charged in windows that follow each other, the newest first.

    Charges are split where weeks end, so for weeks this is exact.
    """
    places = case(
        *((entries.c.from_at >= start, place) for place, start in enumerate(starts)),
        else_=len(starts),
    )
    total = func.sum(entries.c.posted, type_=entries.c.posted.type)
    query = (
        select(places.label("place"), total)
        .where(entries.c.account_id == account_id, entries.c.kind == "charge")
        .where(entries.c.from_at >= starts[-1])
        .group_by("place")
    )
    found = {row[0]: -row[1] for row in tx.execute(query)}
    return [found.get(place, GpuTime.ZERO) for place in range(len(starts))]


def session_lengths(tx: Connection, hub_id: str, *, newest: int) -> list[int]:
    """Read how long the GPU sessions lasted that ended last, in milliseconds."""
    query = (
        select(leases.c.started_at, leases.c.ended_at)
        .join(accounts, accounts.c.id == leases.c.account_id)
        .where(leases.c.state == "ended", leases.c.share_mgpu > 0, accounts.c.hub_id == hub_id)
        .where(leases.c.started_at.is_not(None))
        .order_by(leases.c.ended_at.desc())
        .limit(newest)
    )
    return [ms_between(row[0], row[1]) for row in tx.execute(query)]


def _touches(since: datetime, until: datetime) -> ColumnElement[bool]:
    return and_(entries.c.kind == "charge", entries.c.from_at < until, entries.c.until_at > since)


def _charges(since: datetime, until: datetime) -> Select[Any]:
    total = func.sum(entries.c.posted, type_=entries.c.posted.type)
    return (
        select(
            accounts.c.name, entries.c.lease_id, leases.c.flavor, entries.c.from_at,
            entries.c.until_at, total.label("posted"),
        )
        .join(accounts, accounts.c.id == entries.c.account_id)
        .join(leases, leases.c.id == entries.c.lease_id)
        .where(_touches(since, until))
        .group_by(accounts.c.name, entries.c.lease_id, leases.c.flavor, entries.c.from_at,
                  entries.c.until_at)
    )  # fmt: skip


def _line(row: RowMapping) -> ChargeLine:
    return ChargeLine(
        account=row["name"], lease_id=row["lease_id"], flavor=row["flavor"],
        from_at=row["from_at"], until_at=row["until_at"], amount=-row["posted"],
    )  # fmt: skip
