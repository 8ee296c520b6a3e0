"""Reading and writing emergencies, and who is on which GPU for the time of the next one."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from uuid import UUID

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from quota.emergency import Emergency, EmergencyStart
from quota.leases import Lease
from quota.store.reads import LEASE_FIELDS, lease_of
from quota.store.tables import accounts, emergencies, emergency_starts, leases

_FIELDS = tuple(one.name for one in fields(Emergency))
_START_FIELDS = tuple(one.name for one in fields(EmergencyStart))


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencyRow:
    """An emergency, and how many sessions were started in it."""

    one: Emergency
    starts: int


def emergency(tx: Connection, emergency_id: UUID) -> Emergency | None:
    """Read an emergency."""
    query = select(emergencies).where(emergencies.c.id == emergency_id)
    row = tx.execute(query).mappings().first()
    return None if row is None else _emergency(row)


def save_emergency(
    tx: Connection, hub_id: str, before: Emergency | None, after: Emergency
) -> None:
    """Write an emergency."""
    values = {name: getattr(after, name) for name in _FIELDS}
    if before is None:
        tx.execute(insert(emergencies).values(hub_id=hub_id, **values))
    else:
        mine = emergencies.c.id == after.id
        tx.execute(update(emergencies).where(mine).values(**values))


def newest_emergencies(tx: Connection, hub_id: str, *, most: int) -> list[EmergencyRow]:
    """Read the emergencies of a hub, the newest first."""
    count = (
        select(func.count())
        .where(emergency_starts.c.emergency_id == emergencies.c.id)
        .scalar_subquery()
    )
    query = (
        select(emergencies, count.label("starts"))
        .where(emergencies.c.hub_id == hub_id)
        .order_by(emergencies.c.opened_at.desc(), emergencies.c.id)
        .limit(most)
    )
    return [
        EmergencyRow(one=_emergency(row), starts=row["starts"])
        for row in tx.execute(query).mappings()
    ]


def count_starts(tx: Connection, hub_id: str) -> int:
    """Count all sessions that were ever started in an emergency."""
    query = (
        select(func.count())
        .select_from(emergency_starts)
        .join(emergencies, emergencies.c.id == emergency_starts.c.emergency_id)
        .where(emergencies.c.hub_id == hub_id)
    )
    return int(tx.execute(query).scalar_one())


def start(tx: Connection, lease_id: UUID) -> EmergencyStart | None:
    """Read what was started under a lease."""
    query = select(emergency_starts).where(emergency_starts.c.lease_id == lease_id)
    row = tx.execute(query).mappings().first()
    return None if row is None else EmergencyStart(**{name: row[name] for name in _START_FIELDS})


def insert_start(tx: Connection, one: EmergencyStart) -> None:
    """Write what was started."""
    tx.execute(insert(emergency_starts).values({name: getattr(one, name)
                                                for name in _START_FIELDS}))  # fmt: skip


def leases_on_gpus(tx: Connection, hub_id: str) -> Sequence[tuple[str, Lease]]:
    """Read every lease that occupies a part of a GPU, and whose it is."""
    query = (
        select(accounts.c.name, leases)
        .join(accounts, accounts.c.id == leases.c.account_id)
        .where(accounts.c.hub_id == hub_id, leases.c.state != "ended")
        .where(leases.c.gpu_uuid.is_not(None))
        .order_by(leases.c.id)
    )
    return [
        (row["name"], lease_of([row[name] for name in LEASE_FIELDS]))
        for row in tx.execute(query).mappings()
    ]


def _emergency(row: RowMapping) -> Emergency:
    return Emergency(**{name: row[name] for name in _FIELDS})
