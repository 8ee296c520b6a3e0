"""Simulated classes for tests, on the real store and in memory."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from quota.clock import ManualClock
from quota.lab import Lab
from quota.lab_file import parse_lab
from quota.service import Books
from quota.simulation.behaviour import Behaviour
from quota.simulation.events import Event
from quota.simulation.keeper import StoreKeeper
from quota.simulation.memory import MemoryKeeper
from quota.simulation.plan import Question
from quota.simulation.run import Simulation
from quota.simulation.variants import for_planning, gpus_of
from quota.simulation.visits import Span, draw_visits
from quota.store.engine import open_engine
from quota.store.migrate import upgrade
from tests.simulation.labs import SMALL

TODAY = datetime(2026, 10, 1, tzinfo=UTC)
# Short sessions and a lively class: much happens in a few days.
LIVELY = Behaviour(session_min=40, forgets=0.2, wanted_share=1.3, dies=0.05, start_fails=0.05,
                   away=0.3, due_factor=2, co_working_factor=2)  # fmt: skip


def small_lab(**policy: object) -> Lab:
    lab = parse_lab(SMALL, "lab.yaml")
    return lab.model_copy(update={"policy": lab.policy.model_copy(update=policy)})


def days(start: str, count: float) -> Span:
    at = datetime.fromisoformat(start).replace(tzinfo=UTC)
    return Span(starts_at=at, ends_at=at + timedelta(days=count))


def in_memory(
    lab: Lab, span: Span, *, seed: int, gpus: int = 1, behaviour: Behaviour = LIVELY,
    is_planning: bool = True, every_s: int | None = None,
) -> Simulation:  # fmt: skip
    clock = ManualClock(span.starts_at)
    rules = for_planning(lab) if is_planning else lab
    keeper = MemoryKeeper(rules, clock, gpus_of(lab, gpus))
    return _run(keeper, clock, lab, span, seed=seed, behaviour=behaviour,
                every_s=every_s)  # fmt: skip


def in_store(
    lab: Lab, span: Span, path: Path, *, seed: int, gpus: int = 1,
    behaviour: Behaviour = LIVELY,
) -> Simulation:  # fmt: skip
    clock = ManualClock(span.starts_at)
    engine = open_engine(f"sqlite:///{path}", pool_size=2)
    upgrade(engine)
    keeper = StoreKeeper(Books(engine, lab, clock), gpus_of(lab, gpus))
    return _run(keeper, clock, lab, span, seed=seed, behaviour=behaviour, every_s=None)


def question(lab: Lab, *, seed: int, gpus: int, percent: int = 100, weeks: int | None = None,
             behaviour: Behaviour = Behaviour()) -> Question:  # noqa: B008  # fmt: skip
    return Question(lab=lab, behaviour=behaviour, today=TODAY, weeks=weeks, gpus=gpus,
                    percent=percent, seed=seed)  # fmt: skip


def _run(
    keeper: MemoryKeeper | StoreKeeper, clock: ManualClock, lab: Lab, span: Span, *, seed: int,
    behaviour: Behaviour, every_s: int | None,
) -> Simulation:  # fmt: skip
    visits = draw_visits(lab, behaviour, seed=seed, today=TODAY)
    simulation = Simulation(keeper, clock, visits, span=span, seed=seed,
                            silent_s=lab.policy.waiter_timeout_s)  # fmt: skip
    at = span.starts_at
    while every_s is not None and at < span.ends_at + timedelta(days=1):
        simulation.queue.push(at, Event(kind="tick"))
        at += timedelta(seconds=every_s)
    simulation.run()
    return simulation
