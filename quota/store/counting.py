"""Figures that a scrape reads ready-made, see `quota.census`, and what it reads in bulk."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Connection,
    Row,
    Select,
    and_,
    case,
    delete,
    func,
    insert,
    select,
    type_coerce,
)

from quota.amount import GpuTime
from quota.clock import to_ms
from quota.leases import KEPT_PLACE
from quota.store.tables import accounts, audit, counters, leases, session_states
from quota.store.writes import add_to_counter, set_counter

# How far the audit trail was counted.
_COUNTED_TO = "deeds_counted_to"
# Lines that are counted at once: the first time there may be years of them.
_LINES_AT_ONCE = 50_000


def replace_figures(tx: Connection, prefix: str, figures: Mapping[tuple[str, str], int]) -> None:
    """Put new figures in the place of all whose names begin so."""
    tx.execute(delete(counters).where(counters.c.name.startswith(prefix, autoescape=True)))
    rows = [{"name": name, "label": label, "value": value}
            for (name, label), value in sorted(figures.items())]  # fmt: skip
    if rows:
        tx.execute(insert(counters), rows)


_OPEN_STATES = ("waiting", "held", "active", "stopping")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLeases:
    """The open leases of one flavor and state; kept places do not count as waiting since."""

    flavor: str
    state: str
    count: int
    asked_at: datetime | None


def open_leases(tx: Connection, hub_id: str) -> list[OpenLeases]:
    """Count what is open, by flavor and state, and when the first of them asked."""
    asked_at = case((leases.c.server_name != KEPT_PLACE, leases.c.requested_at))
    query = (
        select(leases.c.flavor, leases.c.state, func.count().label("count"),
               func.min(asked_at, type_=leases.c.requested_at.type).label("asked_at"))
        .group_by(leases.c.flavor, leases.c.state)
    )  # fmt: skip
    return [OpenLeases(**row) for row in tx.execute(_open(query, hub_id)).mappings()]


def unposted(tx: Connection, hub_id: str, now: datetime) -> GpuTime:
    """Add up what running sessions have used and not posted yet, as `Lease.unposted` tells it."""
    until = func.coalesce(type_coerce(leases.c.observed_until, BigInteger), to_ms(now))
    length_ms = until - type_coerce(leases.c.charged_until, BigInteger)
    query = select(func.sum(leases.c.weight_mgpu * length_ms)).where(
        leases.c.state.in_(("active", "stopping")),
        leases.c.started_at.is_not(None), leases.c.charged_until.is_not(None), length_ms > 0,
    )  # fmt: skip
    return GpuTime(int(tx.execute(_open(query, hub_id)).scalar_one() or 0))


def overdue(tx: Connection, hub_id: str, ended_before: datetime) -> int:
    """Count the sessions that are still there, whose last paid instant lies before another."""
    query = (
        select(func.count()).select_from(leases)
        .where(leases.c.state == "stopping", leases.c.paid_until < ended_before)
    )  # fmt: skip
    return int(tx.execute(_open(query, hub_id)).scalar_one())


def _open(query: Select[Any], hub_id: str) -> Select[Any]:
    query = query.join(accounts, accounts.c.id == leases.c.account_id)
    # Not by the index of accounts: SQLite would go through all of the hub's, not the open leases.
    is_ours = func.coalesce(accounts.c.hub_id, "") == hub_id
    is_open = and_(leases.c.state != "ended", leases.c.state.in_(_OPEN_STATES))
    return query.where(is_open, is_ours)


def sessions_on_gpus(tx: Connection, hub_id: str) -> list[Row[UUID, str, str, str, str | None]]:
    """Read lease, flavor, GPU and account of each running session on a GPU, and what it does."""
    query = (
        select(leases.c.id, leases.c.flavor, leases.c.gpu_uuid, accounts.c.name,
               session_states.c.state)
        .join(accounts, accounts.c.id == leases.c.account_id)
        .outerjoin(session_states, session_states.c.lease_id == leases.c.id)
        .where(accounts.c.hub_id == hub_id, leases.c.gpu_uuid.is_not(None))
        # Both, so that the index of open leases serves.
        .where(leases.c.state == "active", leases.c.state != "ended")
    )  # fmt: skip
    return list(tx.execute(query).all())


def add_deeds(tx: Connection, hub_id: str) -> None:
    """Add what the audit trail has got since the last time, by action."""
    query = select(counters.c.value).where(
        counters.c.name == _COUNTED_TO, counters.c.label == hub_id
    )
    since = tx.execute(query).scalar_one_or_none() or 0
    last = tx.execute(select(func.max(audit.c.seq))).scalar_one_or_none() or 0
    until = min(last, since + _LINES_AT_ONCE)
    found = tx.execute(
        select(audit.c.action, func.count())
        .where(audit.c.seq > since, audit.c.seq <= until, audit.c.hub_id == hub_id)
        .group_by(audit.c.action)
        .order_by(audit.c.action)
    ).all()
    for action, count in found:
        add_to_counter(tx, "deeds", action, count)
    if until > since:
        set_counter(tx, _COUNTED_TO, hub_id, until)
