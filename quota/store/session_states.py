"""Reading and writing what running sessions do with their GPUs."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, bindparam, delete, exists, insert, select, update

from quota.gpu_use import SessionUse
from quota.session_states import RunningSession, StoredState
from quota.store.tables import accounts, leases, session_states

_FIELDS = ("lease_id", "state", "since", "warned_at", "kept_until")
_USE_FIELDS = ("seen_at", "busy_percent", "held_mib", "minutes")
# A minute is a byte: its percent, or this.
_NOT_KNOWN = 255


def running_sessions(tx: Connection, hub_id: str) -> list[RunningSession]:
    """Read every session of a hub that the runtime has shown running."""
    query = (
        select(leases, accounts.c.name)
        .join(accounts, accounts.c.id == leases.c.account_id)
        .where(accounts.c.hub_id == hub_id, leases.c.state == "active")
        .order_by(accounts.c.name, leases.c.server_name)
    )
    return [
        RunningSession(
            lease_id=row["id"], ref=row["ref"], account=row["name"], flavor=row["flavor"],
            server_name=row["server_name"], gpu_uuid=row["gpu_uuid"],
            memory_mib=row["memory_mib"],
        )
        for row in tx.execute(query).mappings() if row["ref"] is not None
    ]  # fmt: skip


def states_of_hub(tx: Connection, hub_id: str) -> dict[UUID, StoredState]:
    """Read the states of all sessions of a hub that have not ended."""
    query = (
        select(session_states)
        .join(leases, leases.c.id == session_states.c.lease_id)
        .join(accounts, accounts.c.id == leases.c.account_id)
        .where(accounts.c.hub_id == hub_id, leases.c.state != "ended")
    )
    return {row["lease_id"]: _state(row) for row in tx.execute(query).mappings()}


def states_of(
    tx: Connection, lease_ids: Sequence[UUID], *, lock: bool = False
) -> dict[UUID, StoredState]:
    """Read the states of some sessions."""
    if not lease_ids:
        return {}
    query = select(session_states).where(session_states.c.lease_id.in_(lease_ids))
    # In one order, so that two who lock several never wait for each other.
    query = query.order_by(session_states.c.lease_id).with_for_update() if lock else query
    return {row["lease_id"]: _state(row) for row in tx.execute(query).mappings()}


def save_state(tx: Connection, before: StoredState | None, after: StoredState) -> None:
    """Write a session's state if it has changed."""
    if before == after:
        return
    values = {name: getattr(after, name) for name in _FIELDS}
    if before is None:
        tx.execute(insert(session_states).values(values))
    else:
        mine = session_states.c.lease_id == after.lease_id
        tx.execute(update(session_states).where(mine).values(values))


def save_uses(tx: Connection, uses: Mapping[UUID, SessionUse]) -> None:
    """Write how busy some sessions keep their GPUs, where their state is written."""
    if not uses:
        return
    mine = session_states.c.lease_id == bindparam("of_lease")
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in _USE_FIELDS}
    # In one order, so that two who write several never wait for each other.
    tx.execute(update(session_states).where(mine).values(values), [
        {"of_lease": lease_id, "new_seen_at": use.seen_at, "new_busy_percent": use.busy_percent,
         "new_held_mib": use.held_mib, "new_minutes": _packed(use.minutes)}
        for lease_id, use in sorted(uses.items())
    ])  # fmt: skip


def ended_at(tx: Connection) -> dict[UUID, datetime]:
    """Tell when the sessions ended whose states are still here."""
    query = (
        select(leases.c.id, leases.c.ended_at)
        .join(session_states, session_states.c.lease_id == leases.c.id)
        .where(leases.c.state == "ended", leases.c.ended_at.is_not(None))
    )
    return {row[0]: row[1] for row in tx.execute(query)}


def holders_of(tx: Connection, lease_ids: Sequence[UUID]) -> dict[UUID, tuple[str, int]]:
    """Tell who holds some leases, and how much of a GPU each occupies."""
    if not lease_ids:
        return {}
    query = (
        select(leases.c.id, accounts.c.name, leases.c.share_mgpu)
        .join(accounts, accounts.c.id == leases.c.account_id)
        .where(leases.c.id.in_(lease_ids))
    )
    return {row[0]: (row[1], row[2]) for row in tx.execute(query)}


def forget_ended(tx: Connection) -> None:
    """Remove the states of sessions that have ended."""
    ended = exists().where(leases.c.id == session_states.c.lease_id, leases.c.state == "ended")
    tx.execute(delete(session_states).where(ended))


def is_gpu_wanted(tx: Connection, hub_id: str) -> bool:
    """Tell whether somebody waits for a GPU."""
    waiting = (
        select(leases.c.id)
        .join(accounts, accounts.c.id == leases.c.account_id)
        .where(accounts.c.hub_id == hub_id, leases.c.state == "waiting")
        .where(leases.c.share_mgpu > 0)
        .limit(1)
    )
    return tx.execute(waiting).first() is not None


def _state(row: RowMapping) -> StoredState:
    return StoredState(**{name: row[name] for name in _FIELDS}, use=_use(row))


def _use(row: RowMapping) -> SessionUse | None:
    if row["seen_at"] is None:
        return None
    return SessionUse(seen_at=row["seen_at"], busy_percent=row["busy_percent"],
                      held_mib=row["held_mib"], minutes=_unpacked(row["minutes"]))  # fmt: skip


def _packed(minutes: Sequence[int | None]) -> bytes:
    return bytes(_NOT_KNOWN if one is None else one for one in minutes)


def _unpacked(packed: bytes) -> tuple[int | None, ...]:
    return tuple(None if one == _NOT_KNOWN else one for one in packed)
