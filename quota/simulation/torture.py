"""Looking for faults of the books: a class on the real store, with everything going wrong.

After every step all laws are checked. What went wrong is decided by the seed alone, so a seed
that breaks a law breaks it again.
"""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from random import Random

from sqlalchemy import Engine, select

from quota.clock import ManualClock
from quota.errors import BooksUnavailable
from quota.invariants import Violation
from quota.lab import Lab
from quota.placement import GpuUse
from quota.simulation.deeds import Deed, Staff
from quota.simulation.events import Event, Stay
from quota.simulation.faults import MOST_AHEAD, Crash, Faults, SkewedClock
from quota.simulation.faulty import FaultyKeeper
from quota.simulation.laws import broken_at_end, broken_now
from quota.simulation.run import Simulation
from quota.simulation.variants import with_allowance, with_weight
from quota.simulation.visits import Span, Visit, edges
from quota.store.engine import reading
from quota.store.tables import accounts
from quota.tick import TickResult

_ORGANIZE_EVERY = timedelta(hours=3)
_PERCENTS = (60, 100, 130)
# Some deeds are none of the office's: another lab.yaml, a checkpoint of the worker.
_LAB_FILE, _CHECKPOINT = 0.05, 0.1
_HELPED = 0.4
_MOMENT = timedelta(milliseconds=1)


class BrokenLaw(Exception):
    """A law of the books does not hold."""

    def __init__(self, step: int, at: datetime, event: str, found: list[Violation]) -> None:
        lines = "\n".join(f"  {one.law}: {one.where}: {one.what}" for one in found[:10])
        super().__init__(f"step {step}, {at:%Y-%m-%d %H:%M:%S} UTC, after {event}:\n{lines}")
        self.found = found


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
        self.staff = Staff(lab, Random(f"staff:{seed}"))  # noqa: S311
        self.deeds: dict[str, int] = {}
        self.weights = {one.name: {one.weight_mgpu} for one in lab.flavors.values()}
        self.digest = hashlib.sha256()
        self._engine = engine
        self._look_at: datetime | None = None
        self._deed: Deed | None = None
        self._edges = set(edges(lab, span))
        at = span.starts_at + _ORGANIZE_EVERY
        while at < span.ends_at:
            self.queue.push(at, Event(kind="organize"))
            at += _ORGANIZE_EVERY

    def step(self, event: Event) -> None:
        """Let one thing happen, or fail; then check every law."""
        late = self.faults.counts.get("asked_late", 0)
        self.faults.before_step()
        self.digest.update(f"{self.now.isoformat()} {event.kind} {self.faults.kind}\n".encode())
        self._break_something()
        try:
            super().step(event)
        except Crash:
            self.faulty.restart()
            self._again(event)
        except BooksUnavailable:
            self._again(event)
        if self.faults.counts.get("asked_late", 0) > late:
            self._see_late_questions_off()
        self.faults.after_step()
        self._check(event)

    def finish(self) -> None:
        """Let all time-outs pass, then check the whole class.

        Raises:
            BrokenLaw: what was charged is not what ran, what was promised is not in the books, or
                something is still open.

        """
        self.faults.close()
        policy = self.keeper.lab.policy
        longest = max(policy.spawn_timeout_s, policy.offer_s, policy.waiter_timeout_s,
                      policy.attach_most_min * 60)  # fmt: skip
        for _ in range(3):
            self.plan_tick(self.now + timedelta(seconds=longest + 60), None)
            self.run()
        with reading(self._engine) as tx:
            found = broken_at_end(tx, self.weights, self.world.ran.values(),
                                  self.faulty.acknowledged, slack=MOST_AHEAD)  # fmt: skip
            for row in tx.execute(select(accounts).order_by(accounts.c.id)).mappings():
                self.digest.update(f"{row['name']} {row['seq']} {row['head'].hex()}\n".encode())
        if found:
            raise BrokenLaw(self.record.steps, self.now, "the end", found)

    # -- what people do --------------------------------------------------------------------

    def leaving(self, stay: Stay) -> timedelta:
        """Press Stop, mostly; the others' servers just end."""
        if stay.visit.fate != "dies":
            self.keeper.stop(stay.lease_id, "person")
        return timedelta(milliseconds=self.rng.randint(0, 15_000))

    def started(self, stay: Stay) -> None:
        """Let a TA come to some sessions, and some of those go before their time is over."""
        section = self.keeper.lab.section_of(stay.visit.scholar)
        if section is None or not section.tas or self.rng.random() > _HELPED:
            return
        ta = self.rng.choice(section.tas)
        comes_at = self.now + timedelta(milliseconds=self.rng.randrange(stay.visit.stays_ms))
        attachment_id, minutes, deed = self.staff.attach(stay.visit.scholar, ta)
        self._plan(comes_at, deed)
        until = comes_at + timedelta(minutes=minutes)
        for at in (comes_at + timedelta(seconds=self._step_s()), until, until + _MOMENT):
            self.plan_tick(at, None)
        if self.rng.random() < 0.5:
            goes_at = comes_at + timedelta(minutes=self.rng.uniform(0, minutes))
            self._plan(goes_at, self.staff.detach(attachment_id))
            self.plan_tick(goes_at + timedelta(seconds=self.keeper.lab.policy.tick_s), None)

    def organize(self, event: Event) -> None:
        """Do what is planned, else something new in the office."""
        self._deed = event.deed
        if event.deed is None:
            chance = self.rng.random()
            if chance < _LAB_FILE:
                self._write_lab_file()
                return
            if chance < _CHECKPOINT:
                self.faulty.worker.checkpoint()
                return
            self._deed = self.staff.draw(self.keeper.lab, self.now)
        assert self._deed is not None
        self.deeds[self._deed.name] = self.deeds.get(self._deed.name, 0) + 1
        self.faulty.ask_office(self._deed)
        for at in self._new_edges():
            self.queue.push(at, Event(kind="edge"))

    def _write_lab_file(self) -> None:
        """Scale all hours, and let a GPU cost otherwise."""
        lab = with_allowance(self.first_lab, self.rng.choice(_PERCENTS))
        flavor = self.rng.choice([one for one in lab.flavors.values() if one.is_gpu])
        weight_mgpu = flavor.weight_mgpu * self.rng.choice(_PERCENTS) // 100
        self.weights[flavor.name].add(weight_mgpu)
        self.faulty.change_lab_file(with_weight(lab, flavor.name, weight_mgpu))

    def _plan(self, at: datetime, deed: Deed) -> None:
        self.queue.push(at, Event(kind="organize", deed=deed))

    def _new_edges(self) -> Iterator[datetime]:
        """Return when rules change by themselves that were not there before."""
        for at in edges(self.keeper.lab, self.span):
            if at not in self._edges and at >= self.now:
                self._edges.add(at)
                yield at

    # -- the worker ------------------------------------------------------------------------

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
            self._look_at = self.now + timedelta(seconds=self._step_s())
            self.plan_tick(self._look_at, None)

    def _step_s(self) -> int:
        policy = self.keeper.lab.policy
        return max(policy.tick_s, policy.hold_step_s - policy.tick_s)

    # -- what goes wrong -------------------------------------------------------------------

    def _break_something(self) -> None:
        """Let happen what happens to a lab from outside, whatever it is doing just then."""
        running = sorted(ref for ref in self.world.containers if self.world.is_running(ref))
        if running and self.faults.strikes("vanishes"):
            self.world.vanish(self.faults.rng.choice(running), self.now)
            self._look_soon()
        elif self.faults.strikes("restart"):
            self.faulty.restart()
        elif self.faults.kind == "missed_once":
            self._look_soon()

    def _see_late_questions_off(self) -> None:
        """Look when what a question began that came too late has timed out."""
        policy = self.keeper.lab.policy
        for seconds in (policy.waiter_timeout_s, policy.offer_s, policy.spawn_timeout_s):
            self.plan_tick(self.now + timedelta(seconds=seconds + 1), None)

    def _look_soon(self) -> None:
        tick_ms = self.keeper.lab.policy.tick_s * 1000
        self.plan_tick(self.now + self.faults.rng.randint(1, tick_ms) * _MOMENT, None)

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
        elif event.kind == "organize" and self._deed is not None:
            self._plan(later, self._deed)

    def _check(self, event: Event) -> None:
        with reading(self._engine) as tx:
            found = broken_now(tx, self.first_lab, self.world.ran.values())
        if found:
            raise BrokenLaw(self.record.steps, self.now, event.kind, found)
