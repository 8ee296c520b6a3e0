"""The real service and the real worker of a simulation, behind everything that can go wrong."""

from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import datetime
from uuid import UUID

from sqlalchemy import Engine

from quota.errors import Refusal
from quota.lab import Lab
from quota.leases import LeaseRequest, LeaseState
from quota.observed import Observed
from quota.office import Office
from quota.placement import GpuUse
from quota.service import Books
from quota.simulation.deeds import Deed
from quota.simulation.faults import Faults
from quota.simulation.keeper import Answer, StoreKeeper
from quota.simulation.world import HUB_ID, World
from quota.tick import TickResult

# So many questions are kept on their way, to arrive again when nobody expects them.
_LATE = 40


class FaultyKeeper:
    """Two processes, service and worker, that die and come again; a line between them and all."""

    def __init__(self, engine: Engine, lab: Lab, gpus: Iterable[GpuUse], faults: Faults) -> None:
        self._engine = engine
        self._faults = faults
        self._lab_file = lab
        self._before: tuple[list[Observed], datetime] | None = None
        self._asked: list[tuple[UUID, LeaseRequest]] = []
        self.acknowledged: dict[UUID, Deed] = {}
        self.worker = self._books()
        self._keeper = StoreKeeper(self._books(), gpus)

    @property
    def lab(self) -> Lab:
        """The rules in force."""
        return self.books.lab

    @property
    def books(self) -> Books:
        """The service, as it lives now."""
        return self._keeper.books

    def restart(self) -> None:
        """Come up again, both, with nothing but what is in the store and in lab.yaml."""
        self._engine.dispose()
        self.worker, self._keeper.books = self._books(), self._books()
        self._keeper.books.reload_rules()

    def change_lab_file(self, lab: Lab) -> None:
        """Write another lab.yaml; both processes read it."""
        self._lab_file = lab
        self.worker.lab = lab
        self.books.lab = lab

    def request(self, lease_id: UUID, wanted: LeaseRequest, *, present: bool) -> Answer:
        """Ask for a session; refusals are raised."""
        self.books.reload_rules()
        answer = self._keeper.request(lease_id, wanted, present=present)
        if self._faults.strikes("asked_twice"):
            answer = self._keeper.request(lease_id, wanted, present=present)
        if self._asked and self._faults.strikes("asked_late"):
            with suppress(Refusal):
                self._keeper.request(*self._faults.rng.choice(self._asked), present=present)
            answer = self._keeper.request(lease_id, wanted, present=present)
        self._asked = [*self._asked[1 - _LATE :], (lease_id, wanted)]
        self._faults.answered()
        return answer

    def stop(self, lease_id: UUID, reason: str) -> None:
        """Ask for the end of a lease."""
        self._keeper.stop(lease_id, reason)
        if self._faults.strikes("asked_twice"):
            self._keeper.stop(lease_id, reason)
        self._faults.answered()

    def ask_office(self, deed: Deed) -> None:
        """Ask something of the office; what it may refuse is no fault."""
        self.books.reload_rules()
        office = Office(self.books)
        try:
            deed.do(office)
            if self._faults.strikes("asked_twice"):
                deed.do(office)
        except deed.refusals:
            return
        self._faults.answered()
        self.acknowledged |= dict.fromkeys(deed.gives, deed)

    def state_of(self, lease_id: UUID) -> LeaseState:
        """Tell the state of a lease."""
        return self._keeper.state_of(lease_id)

    def next_in_line(self, ids: Collection[UUID]) -> UUID | None:
        """Tell who of these gets a slot now if they ask."""
        return self._keeper.next_in_line(ids)

    def tick(self, world: World, _names: Collection[str] | None) -> TickResult:
        """Bring the books up to what runs, or to what the worker is shown of it."""
        results: list[TickResult] = []

        def look(listing: list[Observed], seen_at: datetime) -> None:
            results.append(self.worker.tick(listing, seen_at=seen_at))

        listing, now = world.observe(), self.worker.clock.now()
        shown = self._faults.tick(look, listing, self._before, now)
        self._before = (listing, now)
        world.shown(shown, now)
        self._faults.answered()
        merged = results[-1]
        for earlier in results[:-1]:
            merged.removals += [ref for ref in earlier.removals if ref not in merged.removals]
            merged.stops += earlier.stops
        return merged

    def _books(self) -> Books:
        return Books(self._engine, self._lab_file, self._faults.clock, hub_id=HUB_ID)
