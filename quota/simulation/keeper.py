"""Who keeps the books of a simulation: the real store, or the same rules in memory."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from quota.lab import Lab
from quota.leases import LeaseRequest, LeaseState
from quota.placement import GpuUse
from quota.service import Books
from quota.simulation.world import HUB_ID, World
from quota.store import reads
from quota.store.engine import reading
from quota.tick import TickResult
from quota.turns import room_now, the_line
from quota.waiting import next_served


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a scholar is told about a lease."""

    state: LeaseState
    gpu_uuid: str | None = None
    wait_reason: str = ""


class Keeper(Protocol):
    """The use cases that a simulated class needs.

    `names` are those for whom something may have changed since the last tick; None means all.
    """

    @property
    def lab(self) -> Lab:
        """The rules in force."""
        ...

    def request(self, lease_id: UUID, wanted: LeaseRequest, *, present: bool) -> Answer:
        """Ask for a session; refusals are raised."""
        ...

    def stop(self, lease_id: UUID, reason: str) -> None:
        """Ask for the end of a lease."""
        ...

    def state_of(self, lease_id: UUID) -> LeaseState:
        """Tell the state of a lease."""
        ...

    def next_in_line(self, ids: Collection[UUID]) -> UUID | None:
        """Tell who of these gets a slot now if they ask."""
        ...

    def tick(self, world: World, names: Collection[str] | None) -> TickResult:
        """Bring the books up to what runs."""
        ...


class StoreKeeper:
    """The real service on the real store: every tick looks at everything."""

    def __init__(self, books: Books, gpus: Iterable[GpuUse]) -> None:
        self.books = books
        books.set_inventory(gpus)

    @property
    def lab(self) -> Lab:
        """The rules in force."""
        return self.books.lab

    def request(self, lease_id: UUID, wanted: LeaseRequest, *, present: bool) -> Answer:
        """Ask for a session; refusals are raised."""
        view = self.books.request_lease(lease_id, wanted, present=present)
        reason = view.line.reason if view.line else ""
        return Answer(state=view.lease.state, gpu_uuid=view.lease.gpu_uuid, wait_reason=reason)

    def stop(self, lease_id: UUID, reason: str) -> None:
        """Ask for the end of a lease."""
        self.books.stop_lease(lease_id, reason)

    def state_of(self, lease_id: UUID) -> LeaseState:
        """Tell the state of a lease."""
        return self.books.lease(lease_id).lease.state

    def next_in_line(self, ids: Collection[UUID]) -> UUID | None:
        """Tell who of these gets a slot now if they ask."""
        now = self.books.clock.now()
        with reading(self.books.engine) as tx:
            starting = reads.count_starting(tx, HUB_ID)
            line = the_line(tx, self.lab, HUB_ID, now)
            room = room_now(tx, self.lab, HUB_ID, now)
        is_busy = starting >= self.lab.policy.max_spawning
        return None if is_busy else next_served(line, ids, room, now=now)

    def tick(self, world: World, _names: Collection[str] | None) -> TickResult:
        """Bring the books up to what runs."""
        return self.books.tick(world.observe(), seen_at=self.books.clock.now())
