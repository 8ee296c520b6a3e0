"""Reading what happened in a week, for its report: starts, waits, refunds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, RowMapping, and_, func, or_, select

from quota.amount import GpuTime
from quota.store.tables import accounts, leases, lots

# Parameters of one statement: SQLite takes 32,766 at most.
_NAMES_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A session as somebody asked for it, and what came of it."""

    account: str
    is_gpu: bool
    share_mgpu: int
    requested_at: datetime
    held_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    end_reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refunded:
    """What was given back for one fault of the lab."""

    reason: str
    scholars: int
    amount: GpuTime


def sessions_of_span(
    tx: Connection, hub_id: str, since: datetime, until: datetime
) -> Iterator[Asked]:
    """Read every session that was asked for, or on, within [since, until); GPU or not."""
    is_over = and_(leases.c.state == "ended", leases.c.ended_at >= since)
    query = (
        select(leases, accounts.c.name)
        .join(accounts, accounts.c.id == leases.c.account_id)
        .where(accounts.c.hub_id == hub_id, leases.c.requested_at < until)
        .where(or_(leases.c.state != "ended", is_over))
        .order_by(leases.c.requested_at, leases.c.id)
        .execution_options(yield_per=1_000)
    )
    yield from (_asked(row) for row in tx.execute(query).mappings())


def refunds_of_span(
    tx: Connection, hub_id: str, since: datetime, until: datetime
) -> list[Refunded]:
    """Sum what was given back within [since, until), the most first."""
    total = func.sum(lots.c.amount, type_=lots.c.amount.type)
    query = (
        select(lots.c.reason, func.count(), total.label("amount"))
        .join(accounts, accounts.c.id == lots.c.account_id)
        .where(accounts.c.hub_id == hub_id, lots.c.source == "refund")
        .where(lots.c.starts_at >= since, lots.c.starts_at < until)
        .group_by(lots.c.reason)
        .order_by(total.desc(), lots.c.reason)
    )
    return [Refunded(reason=row[0], scholars=row[1], amount=row[2]) for row in tx.execute(query)]


def starts_since(
    tx: Connection, hub_id: str, since: datetime, names: Sequence[str]
) -> dict[str, list[datetime]]:
    """Read when somebody's sessions started since an instant, of all kinds, in order."""
    found: dict[str, list[datetime]] = {name: [] for name in names}
    query = (
        select(accounts.c.name, leases.c.started_at)
        .join(accounts, accounts.c.id == leases.c.account_id)
        .where(accounts.c.hub_id == hub_id, leases.c.started_at >= since)
        .order_by(leases.c.started_at)
        .execution_options(yield_per=1_000)
    )
    for start in range(0, len(names), _NAMES_AT_ONCE):
        some = query.where(accounts.c.name.in_(names[start : start + _NAMES_AT_ONCE]))
        for name, started_at in tx.execute(some):
            found[name].append(started_at)
    return found


def _asked(row: RowMapping) -> Asked:
    return Asked(
        account=row["name"], is_gpu=row["share_mgpu"] > 0, share_mgpu=row["share_mgpu"],
        requested_at=row["requested_at"], held_at=row["held_at"], started_at=row["started_at"],
        ended_at=row["ended_at"], end_reason=row["end_reason"],
    )  # fmt: skip
