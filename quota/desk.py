"""An account under lock, brought up to now, with all that a decision about it needs."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from quota.admission import Funds
from quota.allowances import settle
from quota.amount import GpuTime
from quota.endings import closed_now
from quota.entitlement import current_week, next_allowance
from quota.errors import NoSuchLease
from quota.lab import Lab
from quota.lab_people import Section
from quota.leases import Lease
from quota.ledger import Account
from quota.placement import GpuUse
from quota.store import reads, writes
from quota.store.papers import (
    Papers,
    RoomAsRead,
    RoomWanted,
    papers_of,
    papers_of_lease,
    read_room,
)


@dataclass(slots=True, kw_only=True)
class Desk:
    """An account under lock with all that a decision about it needs.

    `place` is a place kept in the line that the request may take up. With `takes_late` a slot is
    taken at the very end; whoever opened the transaction tries again when that is too late.
    """

    tx: Connection
    lab: Lab
    section: Section | None
    account: Account
    leases: list[Lease]
    now: datetime
    asked: dict[UUID, Lease | None] = field(default_factory=dict)
    gpu: GpuUse | None = None
    place: Lease | None = None
    takes_late: bool = False
    _room: RoomAsRead | None = None

    def save(self) -> None:
        """Write the account."""
        writes.save_account(self.tx, self.account)

    def replace_leases(self, after: list[Lease]) -> None:
        """Write what was done to the leases, in their order."""
        writes.update_leases(self.tx, zip(self.leases, after, strict=True))
        self.leases = after

    def lease(self, lease_id: UUID) -> Lease | None:
        """Find a lease, open or ended, that may be another account's."""
        for one in self.leases:
            if one.id == lease_id:
                return one
        if lease_id in self.asked:
            return self.asked[lease_id]
        return reads.lease_by_id(self.tx, lease_id)

    def room(self) -> RoomAsRead:
        """Return the GPUs and who waits for them, as they were when the lock was taken."""
        if self._room is None:
            self._room = read_room(self.tx, self.account.hub_id, _room_wanted(self.lab, self.now))
        return self._room


def open_desk(
    tx: Connection, lab: Lab, hub_id: str, name: str, *, now: datetime,
    lease_id: UUID | None = None, with_room: bool = False,
) -> Desk:  # fmt: skip
    """Lock a scholar's account (made on first use) and bring it up to now.

    What else will be looked at is read with it: a lease, the room and the line.
    """
    room = _room_wanted(lab, now) if with_room else None

    def read() -> Papers | None:
        return papers_of(tx, hub_id, name, lease_id=lease_id, room=room,
                         with_boosts=bool(lab.due_dates))  # fmt: skip

    papers = read()
    if papers is None:
        writes.create_account(tx, hub_id, name)
        papers = read()
    assert papers is not None, "just made"
    return _settled(tx, lab, papers, now=now)


def open_desk_of_lease(tx: Connection, lab: Lab, lease_id: UUID, *, now: datetime) -> Desk:
    """Lock the account that has a lease and bring it up to now.

    Raises:
        NoSuchLease: nobody has it.

    """
    papers = papers_of_lease(tx, lease_id, with_boosts=bool(lab.due_dates))
    if papers is None:
        raise NoSuchLease("There is no such lease.")
    return _settled(tx, lab, papers, now=now)


def _settled(tx: Connection, lab: Lab, papers: Papers, *, now: datetime) -> Desk:
    account = papers.account
    section = lab.section_of(account.name)
    desk = Desk(
        tx=tx, lab=lab, section=section, account=account, leases=papers.leases, now=now,
        asked=papers.asked, gpu=papers.gpu, _room=papers.room,
    )  # fmt: skip
    after = settle(account, papers.leases, lab=lab, section=section, now=now, given=papers.boosts)
    desk.replace_leases(after)
    # At once: what the leases say is charged must be in the ledger however the use case goes on.
    desk.save()
    return desk


def _room_wanted(lab: Lab, now: datetime) -> RoomWanted:
    """Tell since when one has to have asked to be in the line still, and what else is read."""
    return RoomWanted(
        asked_since=now - timedelta(seconds=lab.policy.waiter_timeout_s),
        reserved_from=now if lab.reservations.are_taken else None,
    )


def funds_of(desk: Desk) -> Funds:
    """Sum up what the account can pay with."""
    return funds(desk.account, desk.leases, lab=desk.lab, section=desk.section, now=desk.now)


def funds(
    account: Account, leases: Iterable[Lease], *, lab: Lab, section: Section | None, now: datetime
) -> Funds:
    """Sum up what an account can pay with; use beyond a hold counts before it is posted."""
    leases = list(leases)
    beyond = GpuTime.total(max(lease.unposted(now) - lease.hold, GpuTime.ZERO) for lease in leases)
    return Funds(
        available=account.available(now) - beyond,
        on_roster=section is not None,
        week=current_week(lab, section, now),
        next_week=next_allowance(lab, section, account.name, now),
        debt=account.debt,
        open_gpu_sessions=sum(
            1 for lease in leases if lease.share_mgpu > 0 and not lease.keeps_place
        ),
        most_gpu_sessions=lab.sessions_of(account.name),
        closed=closed_now(lab, now),
    )
