"""P29, P30: long outages by a clock in hand; real books, worker, watchdog and files."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from api.deadlines import write_deadlines
from api.enforce import Enforcer
from api.sightings import Sightings
from api.watchdog import Watchdog
from api.watchdog_metrics import WatchdogMetrics
from api.worker import Worker
from api.worker_metrics import WorkerMetrics
from quota.amount import GpuTime
from quota.clock import ms_between
from quota.errors import BooksUnavailable
from quota.reconcile import STOP_WITHIN
from tests.api.runtime import FakeRuntime
from tests.faults.story import LAB, Gpus, Policy
from tests.quota.books import Desk

TICK = timedelta(seconds=15)
HORIZON = timedelta(seconds=LAB.policy.outage_horizon_s)
WATCH = timedelta(seconds=5)


@dataclass
class Outage:
    """A lab of which everything but the watchdog may be dead."""

    desk: Desk
    folder: Path
    runtime: FakeRuntime = field(init=False)
    really: dict[str, tuple[str, datetime, datetime]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.runtime = FakeRuntime(self.desk.clock.now)
        note = self.folder / "deadlines.json"
        self.watchdog = Watchdog(note, self.runtime, self.desk.clock, grace_s=1,
                                 metrics=WatchdogMetrics())  # fmt: skip
        self.note = note
        self.employ()

    def employ(self, *, with_file: bool = True) -> None:
        """A worker starts; it knows what is in the files."""
        path = self.folder / "sightings.json" if with_file else None
        self.enforcer = Enforcer(self.runtime, lambda *_: False, hub_budget_s=0, grace_s=0,
                                 on_gone=lambda: None)  # fmt: skip
        self.worker = Worker(
            self.desk.books, self.runtime, self.enforcer, Gpus(), policy=Policy(),
            save_deadlines=lambda some: write_deadlines(self.note, some),
            metrics=WorkerMetrics(), sightings=Sightings(path),
        )  # fmt: skip

    def start(self, who: str, flavor: str = "quarter") -> str:
        view = self.desk.ask(who, flavor)
        self.desk.start(view)
        return self.runtime.run(self.desk.containers.pop(f"c-{view.lease.id}"))

    def end(self, ref: str) -> None:
        """A session ends; the test writes down what it really used."""
        self.runtime.end(ref)
        one = self.runtime.sessions[ref]
        assert one.started_at is not None
        assert one.finished_at is not None
        self.really[ref] = (one.account, one.started_at, one.finished_at)

    def tick(self) -> None:
        self.worker._try_tick()
        for begun in list(self.enforcer._busy.values()):
            begun.result(timeout=10)

    def pass_time(self, by: timedelta, *, every: timedelta, who: str) -> None:
        """Let time pass with looks of the worker or the watchdog, or of nobody."""
        until = self.desk.clock.now() + by
        while self.desk.clock.now() < until:
            self.desk.clock.advance(every)
            if who == "worker":
                self.tick()
            elif who == "watchdog":
                self.watchdog.look()

    def used(self, who: str, weight_mgpu: int) -> GpuTime:
        """What somebody really used, by the test's own record."""
        ms = sum(ms_between(start, end) for name, start, end in self.really.values()
                 if name == who)  # fmt: skip
        return GpuTime.of(weight_mgpu, ms)


@pytest.fixture
def outage(engine: Engine, tmp_path: Path) -> Iterator[Outage]:
    desk = Desk(engine, LAB)
    found = Outage(desk, tmp_path)
    yield found
    found.enforcer.close()
    desk.check()


def test_p29_with_all_else_dead_the_watchdog_bounds_what_it_costs(outage: Outage) -> None:
    """One runs out within the outage, one could go on for days: neither outlives its deadline."""
    rich, poor = outage.start("ada"), outage.start("emeka", "whole")
    outage.tick()
    outage.pass_time(timedelta(minutes=30), every=TICK, who="worker")
    last_word = outage.desk.clock.now()
    # Half an hour is left of emeka's one; worker, service, hub and database are gone.
    outage.pass_time(HORIZON + timedelta(minutes=10), every=WATCH, who="watchdog")
    ends = {ref: one.finished_at for ref, one in outage.runtime.sessions.items()}
    assert ends.keys() == {rich, poor}, "what ended stays until it is posted"
    runs_out = last_word + timedelta(minutes=30)
    for ref, deadline in ((rich, last_word + HORIZON), (poor, runs_out)):
        end = ends[ref]
        assert end is not None, "it was stopped"
        assert timedelta(0) <= end - (deadline + STOP_WITHIN) <= WATCH
    outage.employ()
    outage.tick()
    assert outage.runtime.sessions == {}
    # All that it really ran is charged; beyond what was paid it is a debt that shows.
    debt = outage.desk.books.account("emeka").debt
    assert debt == GpuTime.of(1000, ms_between(runs_out, ends[poor] or runs_out))
    assert debt <= GpuTime.of(1000, ms_between(last_word, last_word + HORIZON))
    ada = outage.desk.books.account("ada")
    started = last_word - timedelta(minutes=30)
    assert ada.charged == GpuTime.of(250, ms_between(started, ends[rich] or started))
    assert ada.debt == GpuTime.ZERO


def test_p29_the_control_without_a_watchdog_it_would_go_on(outage: Outage) -> None:
    poor = outage.start("emeka", "whole")
    outage.tick()
    outage.pass_time(HORIZON + timedelta(minutes=10), every=WATCH, who="nobody")
    assert outage.runtime.is_running(poor)
    outage.watchdog.look()
    assert not outage.runtime.is_running(poor)


def _a_day_without_books(outage: Outage, patched: pytest.MonkeyPatch, *, with_file: bool) -> None:
    """Sessions end, some are removed by force, and the worker is killed every 72 minutes."""

    def away(*_: object, **__: object) -> None:
        raise BooksUnavailable("the database does not answer")

    with patched.context() as context:
        for name in ("tick", "set_inventory"):
            context.setattr(outage.desk.books, name, away)
        for kill in range(20):
            outage.employ(with_file=with_file)
            outage.pass_time(timedelta(minutes=72), every=timedelta(minutes=4), who="worker")
            refs = [ref for ref, one in outage.runtime.sessions.items() if one.is_running]
            if kill % 4 == 3 and refs:
                outage.end(refs[0])
                outage.tick()
                if kill % 8 == 3:
                    # By root, after the worker has seen it ended.
                    del outage.runtime.sessions[refs[0]]
    outage.employ(with_file=with_file)
    outage.tick()


PEOPLE = ("ada", "blaise", "chen", "dina")


def test_p30_a_day_without_a_database_loses_no_millisecond(
    outage: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for who in PEOPLE:
        outage.start(who)
    outage.tick()
    _a_day_without_books(outage, monkeypatch, with_file=True)
    assert len(outage.really) == 4, "all have ended: two removed by root, two still there"
    for who in PEOPLE:
        view = outage.desk.books.account(who)
        assert view.sessions == ()
        assert view.charged == outage.used(who, 250), who
    assert outage.runtime.sessions == {}
    assert not (outage.folder / "sightings.json").exists()


def test_p30_the_control_without_the_file_what_was_removed_is_lost(
    outage: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for who in PEOPLE:
        outage.start(who)
    outage.tick()
    _a_day_without_books(outage, monkeypatch, with_file=False)
    lost = [who for who in PEOPLE
            if outage.desk.books.account(who).charged < outage.used(who, 250)]  # fmt: skip
    assert len(lost) == 2
