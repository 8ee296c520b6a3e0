"""All that a decision about one account is made from, read in one round trip.

The account comes first and is locked; the rest is read after the lock is there, so that it is as
the lock's last holder left it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, ScalarSelect, Select, bindparam, func, select

from quota.kept_shares import KeptShare
from quota.leases import Lease
from quota.ledger import Account
from quota.placement import GpuUse
from quota.store import reads
from quota.store.reservations import KEPT_SHARES, share_of
from quota.store.statements import Asked, Row, Statement, fetch
from quota.store.tables import accounts, gpus, leases, lots
from quota.waiting import Waiter

_ACCOUNT_FIELDS = (
    "id", "hub_id", "kind", "name", "posted", "held", "debt", "seq", "head", "allowance_from",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomAsRead:
    """The GPUs, who waits for one and has asked lately, and how many sessions are starting.

    `shares` is what scholars have reserved of them.
    """

    gpus: tuple[GpuUse, ...]
    waiting: tuple[Waiter, ...]
    starting: int
    shares: tuple[KeptShare, ...] = ()


@dataclass(frozen=True, slots=True)
class RoomWanted:
    """Of a room: who has asked since when, and what is reserved from when on, if anything is."""

    asked_since: datetime
    reserved_from: datetime | None


@dataclass(slots=True, kw_only=True)
class Papers:
    """An account under lock with its open lots and leases, and what else was asked for."""

    account: Account
    leases: list[Lease]
    boosts: frozenset[UUID]
    asked: dict[UUID, Lease | None] = field(default_factory=dict)
    gpu: GpuUse | None = None
    room: RoomAsRead | None = None


def papers_of(
    tx: Connection, hub_id: str, name: str, *, kind: str = "scholar", with_boosts: bool = False,
    lease_id: UUID | None = None, room: RoomWanted | None = None,
) -> Papers | None:  # fmt: skip
    """Lock an account and read its papers; with a wanted room also that and the line.

    `lease_id` may be anybody's. None when there is no such account.
    """
    whose = {"hub": hub_id, "kind": kind, "who": name}
    asked: list[Asked] = [(one, whose) for one in _BY_NAME[: None if with_boosts else -1]]
    mine = len(asked)
    if lease_id is not None:
        asked.append((_LEASE, {"lease": lease_id}))
    if room is not None:
        asked += _asked_of_room(hub_id, room)
    found = fetch(tx, *asked)
    papers = _papers(*found[:mine])
    rest = iter(found[mine:])
    if papers is not None and lease_id is not None:
        papers.asked = {lease_id: _first_lease(next(rest))}
    if papers is not None and room is not None:
        papers.room = _room(*rest)
    return papers


def papers_of_lease(tx: Connection, lease_id: UUID, *, with_boosts: bool = False) -> Papers | None:
    """Lock the account of a lease and read its papers, that lease and its GPU.

    None when there is no such lease.
    """
    whose = {"lease": lease_id}
    mine = _BY_LEASE[: None if with_boosts else -1]
    *found, lease, gpu = fetch(tx, *((one, whose) for one in (*mine, _LEASE, _GPU_OF_LEASE)))
    papers = _papers(*found)
    if papers is not None:
        papers.asked = {lease_id: _first_lease(lease)}
        papers.gpu = next((reads.gpu_of(row) for row in gpu), None)
    return papers


def read_room(tx: Connection, hub_id: str, room: RoomWanted) -> RoomAsRead:
    """Read the room and the line of a hub."""
    return _room(*fetch(tx, *_asked_of_room(hub_id, room)))


def _asked_of_room(hub_id: str, room: RoomWanted) -> list[Asked]:
    hub = {"hub": hub_id}
    waiting = {"hub": hub_id, "since": room.asked_since}
    asked: list[Asked] = [(_GPUS, hub), (_STARTING, hub), (_WAITERS, waiting)]
    if room.reserved_from is not None:
        asked.append((KEPT_SHARES, {"hub": hub_id, "now": room.reserved_from}))
    return asked


def _papers(
    accounts_found: list[Row], lots_found: list[Row], leases_found: list[Row],
    boosts_found: Iterable[Row] = (),
) -> Papers | None:  # fmt: skip
    if not accounts_found:
        return None
    account = Account(**dict(zip(_ACCOUNT_FIELDS, accounts_found[0], strict=True)))
    account.lots = [reads.lot_of(row) for row in lots_found]
    return Papers(
        account=account,
        leases=[reads.lease_of(row) for row in leases_found],
        boosts=frozenset(row[0] for row in boosts_found),
    )


def _first_lease(rows: list[Row]) -> Lease | None:
    return reads.lease_of(rows[0]) if rows else None


def _room(
    devices: list[Row], starting: list[Row], waiting: list[Row], shares: Iterable[Row] = ()
) -> RoomAsRead:
    return RoomAsRead(
        gpus=tuple(reads.gpu_of(row) for row in devices),
        waiting=tuple(reads.waiter_of(reads.lease_of(row[:-1]), row[-1]) for row in waiting),
        starting=starting[0][0],
        shares=tuple(share_of(row) for row in shares),
    )


# -- the statements ---------------------------------------------------------------------------


def _account(chosen: Any) -> Select[Any]:
    return select(*(accounts.c[name] for name in _ACCOUNT_FIELDS)).where(*chosen)


def _belongings(owner: ScalarSelect[int]) -> tuple[Statement, ...]:
    """Read what an account has: open lots, open leases, and the boosts that it ever had."""
    return (
        Statement(
            select(*(lots.c[name] for name in reads.LOT_FIELDS)).where(
                lots.c.account_id == owner, lots.c.closed_at.is_(None)
            )
        ),
        Statement(
            select(*(leases.c[name] for name in reads.LEASE_FIELDS))
            .where(leases.c.account_id == owner, leases.c.state != "ended")
            .order_by(leases.c.requested_at)
        ),
        Statement(select(lots.c.id).where(lots.c.account_id == owner, lots.c.source == "boost")),
    )


_NAMED = (
    accounts.c.hub_id == bindparam("hub"),
    accounts.c.kind == bindparam("kind"),
    accounts.c.name == bindparam("who"),
)
_BY_NAME = (
    Statement(_account(_NAMED).with_for_update()),
    *_belongings(select(accounts.c.id).where(*_NAMED).scalar_subquery()),
)
_OF_LEASE = leases.alias("asked")
_OWNER = (
    select(_OF_LEASE.c.account_id).where(_OF_LEASE.c.id == bindparam("lease")).scalar_subquery()
)
_BY_LEASE = (
    Statement(_account((accounts.c.id == _OWNER,)).with_for_update()),
    *_belongings(_OWNER),
)
_LEASE = Statement(
    select(*(leases.c[name] for name in reads.LEASE_FIELDS)).where(
        leases.c.id == bindparam("lease")
    )
)
_GPU_OF_LEASE = Statement(
    select(*(gpus.c[name] for name in reads.GPU_FIELDS)).where(
        gpus.c.uuid
        == select(_OF_LEASE.c.gpu_uuid)
        .where(_OF_LEASE.c.id == bindparam("lease"))
        .scalar_subquery()
    )
)
_GPUS = Statement(
    select(*(gpus.c[name] for name in reads.GPU_FIELDS))
    .where(gpus.c.hub_id == bindparam("hub"))
    .order_by(gpus.c.uuid)
)
_IN_HUB = (accounts.c.id == leases.c.account_id, accounts.c.hub_id == bindparam("hub"))
_WAITERS = Statement(
    select(*(leases.c[name] for name in reads.LEASE_FIELDS), accounts.c.name).where(
        *_IN_HUB, leases.c.state == "waiting", leases.c.gpu_uuid.is_(None),
        leases.c.asked_at > bindparam("since"),
    )
)  # fmt: skip
_STARTING = Statement(
    select(func.count())
    .select_from(leases, accounts)
    .where(*_IN_HUB, leases.c.state == "held", leases.c.gpu_uuid.is_not(None))
)
