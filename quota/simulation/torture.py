"""Looking for faults of the books: a class on the real store, with everything going wrong.

After every step all laws are checked. What went wrong is decided by the seed alone, so a seed
that breaks a law breaks it again.
"""

import hashlib
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Engine

from quota.amount import GpuTime
from quota.audit import By
from quota.clock import ManualClock
from quota.errors import BooksUnavailable
from quota.invariants import Violation
from quota.lab import Lab
from quota.leases import LeaseRequest, LeaseState
from quota.observed import Observed
from quota.office import Office
from quota.placement import GpuUse
from quota.service import Books
from quota.simulation.events import Event, Stay
from quota.simulation.faults import MOST_AHEAD, Crash, Faults, SkewedClock
from quota.simulation.keeper import Answer, StoreKeeper
from quota.simulation.laws import broken_at_end, broken_now
from quota.simulation.run import Simulation
from quota.simulation.variants import with_allowance
from quota.simulation.visits import Span, Visit
from quota.simulation.world import HUB_ID, World
from quota.store.engine import reading
from quota.tick import TickResult

_ORGANIZE_EVERY = timedelta(hours=7)
_PERCENTS = (60, 100, 130)


class BrokenLaw(Exception):
    """A law of the books does not hold."""

    def __init__(self, step: int, at: datetime, event: str, found: list[Violation]) -> None:
        lines = "\n".join(f"  {one.law}: {one.where}: {one.what}" for one in found[:10])
        super().__init__(f"step {step}, {at:%Y-%m-%d %H:%M:%S} UTC, after {event}:\n{lines}")
        self.found = found


class FaultyKeeper:
    """The real service behind a line that breaks, with a process that dies and comes again."""

    def __init__(self, engine: Engine, lab: Lab, gpus: Iterable[GpuUse], faults: Faults) -> None:
        self._engine = engine
        self._faults = faults
        self._lab = lab
        self._before: tuple[list[Observed], datetime] | None = None
        self._keeper = self._started(gpus)

    @property
    def lab(self) -> Lab:
        """The rules in force."""
        return self.books.lab

    @property
    def books(self) -> Books:
        """The service, as it lives now."""
        return self._keeper.books

    def restart(self) -> None:
        """Come up again after a crash, with nothing but what is in the store."""
        lab = self.books.lab_file
        self._lab = lab
        self._keeper.books = Books(self._engine, lab, self._faults.clock, hub_id=HUB_ID)

    def request(self, lease_id: UUID, wanted: LeaseRequest, *, present: bool) -> Answer:
        """Ask for a session; refusals are raised."""
        answer = self._keeper.request(lease_id, wanted, present=present)
        self._faults.answered()
        return answer

    def stop(self, lease_id: UUID, reason: str) -> None:
        """Ask for the end of a lease."""
        self._keeper.stop(lease_id, reason)
        self._faults.answered()

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
            results.append(self.books.tick(listing, seen_at=seen_at))

        listing, now = world.observe(), self.books.clock.now()
        self._faults.tick(look, listing, self._before, now)
        self._before = (listing, now)
        self._faults.answered()
        merged = results[-1]
        for earlier in results[:-1]:
            merged.removals += [ref for ref in earlier.removals if ref not in merged.removals]
        return merged

    def _started(self, gpus: Iterable[GpuUse]) -> StoreKeeper:
        books = Books(self._engine, self._lab, self._faults.clock, hub_id=HUB_ID)
        return StoreKeeper(books, gpus)


class Torture(Simulation):
    """A class whose every step may fail, and is tried again as hub and worker would."""

    def __init__(
        self, engine: Engine, lab: Lab, gpus: Iterable[GpuUse], visits: Iterable[Visit], *,
        span: Span, seed: int, rate: float,
    ) -> None:  # fmt: skip
        true = ManualClock(span.starts_at)
        self.faults = Faults(engine, SkewedClock(true), rate=rate, seed=seed)
        self.faulty = FaultyKeeper(engine, lab, gpus, self.faults)
        super().__init__(self.faulty, true, visits, span=span, seed=seed)
        self._engine = engine
        self._first_lab = lab
        self._look_at: datetime | None = None
        self.digest = hashlib.sha256()
        at = span.starts_at + _ORGANIZE_EVERY
        while at < span.ends_at:
            self.queue.push(at, Event(kind="organize"))
            at += _ORGANIZE_EVERY

    def step(self, event: Event) -> None:
        """Let one thing happen, or fail; then check every law."""
        self.faults.before_step()
        self.digest.update(f"{self.now.isoformat()} {event.kind} {self.faults.kind}\n".encode())
        try:
            super().step(event)
        except Crash:
            self.faulty.restart()
            self._again(event)
        except BooksUnavailable:
            self._again(event)
        self.faults.after_step()
        self._check(event)

    def finish(self) -> None:
        """Check the whole class when it is over.

        Raises:
            BrokenLaw: what was charged is not what ran, or something is still open.

        """
        self.faults.close()
        self.faulty.books.tick(self.world.observe(), seen_at=self.now)
        with reading(self._engine) as tx:
            found = broken_at_end(tx, self._first_lab, self.world.ran.values(), slack=MOST_AHEAD)
        if found:
            raise BrokenLaw(self.record.steps, self.now, "the end", found)

    def leaving(self, stay: Stay) -> timedelta:
        """Press Stop, mostly; the others' servers just end."""
        if stay.visit.fate != "dies":
            self.keeper.stop(stay.lease_id, "person")
        return timedelta(milliseconds=self.rng.randint(0, 15_000))

    def take_up(self, result: TickResult, names: frozenset[str] | None) -> None:
        """Look again in time for warnings and for the holds to roll."""
        super().take_up(result, names)
        policy = self.keeper.lab.policy
        if result.next_end_at is not None:
            for minutes in policy.warn_before_min:
                at = result.next_end_at - timedelta(minutes=minutes)
                if at > self.now:
                    self.plan_tick(at, None)
        if self.here and (self._look_at is None or self._look_at <= self.now):
            step_s = max(policy.tick_s, policy.hold_step_s - policy.tick_s)
            self._look_at = self.now + timedelta(seconds=step_s)
            self.plan_tick(self._look_at, None)

    def organize(self) -> None:
        """Give somebody an hour, change the allowance, write a checkpoint."""
        match self.rng.randrange(3):
            case 0:
                who = self.rng.choice(sorted(self.keeper.lab.roster))
                grant_id = UUID(int=self.rng.getrandbits(128), version=4)
                Office(self.faulty.books).grant(
                    grant_id, who, GpuTime.hours(1), by=By(actor="olga"), reason="for trying"
                )
            case 1:
                percent = self.rng.choice(_PERCENTS)
                self.faulty.books.lab = with_allowance(self._first_lab, percent)
            case _:
                self.faulty.books.checkpoint()

    def _again(self, event: Event) -> None:
        """Try again a little later what failed; what the world did is not done twice."""
        later = self.now + timedelta(milliseconds=self.rng.randint(500, 15_000))
        self.plan_tick(later, None)
        stay = event.stay
        if event.kind == "arrive" and event.visit is not None:
            stay = self.here.get(event.visit.scholar)
            if stay is not None and stay.state == "asking":
                self.push("ask", later, stay)
        elif event.kind in ("ask", "give_up", "left", "leave") and stay is not None:
            self.queue.push(later, event)

    def _check(self, event: Event) -> None:
        with reading(self._engine) as tx:
            found = broken_now(tx, self._first_lab, self.world.ran.values())
        if found:
            raise BrokenLaw(self.record.steps, self.now, event.kind, found)
