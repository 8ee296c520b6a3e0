"""Planning a program: the same simulated classes on other numbers of GPUs and other allowances."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from multiprocessing import get_context

from quota.agenda import due_in
from quota.amount import GpuTime
from quota.calendar import Week
from quota.clock import ManualClock
from quota.entitlement import entitlement
from quota.invariants import Violation, describe
from quota.lab import Lab
from quota.lab_people import Section
from quota.simulation.behaviour import Behaviour
from quota.simulation.figures import Figures, Outcome, WeekUse, busy_by, figures_of
from quota.simulation.laws import broken_in_memory
from quota.simulation.memory import MemoryKeeper
from quota.simulation.run import Simulation
from quota.simulation.variants import for_planning, gpus_of, with_allowance
from quota.simulation.visits import Span, draw_visits, section_weeks, span_of

_DAY = timedelta(days=1)
UNCHANGED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One class to simulate: on so many GPUs, with such a part of the allowance, by a seed."""

    lab: Lab
    behaviour: Behaviour
    today: datetime
    weeks: int | None
    gpus: int
    percent: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What was asked for: numbers of GPUs with the lab's allowance, then other allowances.

    Details and other allowances are simulated with `details_at` GPUs; if that is left open, with
    the fewest on which 95 of 100 wait for `within_s` at most.
    """

    lab: Lab
    behaviour: Behaviour
    today: datetime
    weeks: int | None
    gpus: tuple[int, ...]
    percents: tuple[int, ...]
    details_at: int | None
    within_s: int
    seeds: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Figures for every number of GPUs, and for every allowance at one of them."""

    by_gpus: tuple[Figures, ...]
    by_percent: tuple[Figures, ...]
    compare_at: int


class BooksBroken(Exception):
    """The books of a planning run do not add up: nothing that it says can be believed."""


def answer(
    plan: Plan, *, processes: int = 1, on_done: Callable[[Outcome], None] = lambda _: None
) -> Answer:
    """Simulate everything that a plan asks for.

    Raises:
        BooksBroken: a law of the books does not hold.
        ValueError: there is nothing to simulate.

    """
    wanted = {*plan.gpus} if plan.details_at is None else {*plan.gpus, plan.details_at}
    by_gpus = _figures(plan, [(gpus, UNCHANGED) for gpus in sorted(wanted)], processes, on_done)
    compare_at = plan.details_at or enough(by_gpus, plan.within_s) or by_gpus[-1].gpus
    others = [(compare_at, percent) for percent in plan.percents if percent != UNCHANGED]
    same = [one for one in by_gpus if one.gpus == compare_at]
    by_percent = [*same, *_figures(plan, others, processes, on_done)]
    return Answer(
        by_gpus=tuple(by_gpus),
        by_percent=tuple(sorted(by_percent, key=lambda one: one.percent)),
        compare_at=compare_at,
    )


def runs_of(plan: Plan) -> int:
    """Tell how many classes a plan simulates."""
    others = sum(1 for percent in plan.percents if percent != UNCHANGED)
    counts = {*plan.gpus} if plan.details_at is None else {*plan.gpus, plan.details_at}
    return (len(counts) + others) * len(plan.seeds)


def enough(by_gpus: Sequence[Figures], within_s: int) -> int | None:
    """Return the fewest GPUs with which 95 of 100 wait no longer; None when none suffice."""
    return next((one.gpus for one in by_gpus if one.waits.p95_s <= within_s), None)


def _figures(
    plan: Plan, wanted: Sequence[tuple[int, int]], processes: int,
    on_done: Callable[[Outcome], None],
) -> list[Figures]:  # fmt: skip
    questions = [
        Question(lab=plan.lab, behaviour=plan.behaviour, today=plan.today, weeks=plan.weeks,
                 gpus=gpus, percent=percent, seed=seed)
        for gpus, percent in wanted for seed in plan.seeds
    ]  # fmt: skip
    outcomes = []
    for one in _all(questions, processes):
        outcomes.append(one)
        on_done(one)
    outcomes.sort(key=lambda one: (one.gpus, one.percent, one.seed))
    return [figures_of(list(some))
            for _, some in groupby(outcomes, key=lambda one: (one.gpus, one.percent))]  # fmt: skip


def simulate(question: Question) -> Outcome:
    """Simulate one class.

    What people want is drawn from the lab as it is; only what they get follows the question.

    Raises:
        BooksBroken: a law of the books does not hold.

    """
    began = time.perf_counter()
    base, today, weeks = question.lab, question.today, question.weeks
    lab = base if question.percent == UNCHANGED else with_allowance(base, question.percent)
    visits = draw_visits(base, question.behaviour, seed=question.seed, today=today, weeks=weeks)
    span = span_of(base, today=today, weeks=weeks)
    clock = ManualClock(span.starts_at)
    keeper = MemoryKeeper(for_planning(lab), clock, gpus_of(lab, question.gpus))
    class_ = Simulation(keeper, clock, visits, span=span, seed=question.seed,
                        silent_s=lab.policy.waiter_timeout_s)  # fmt: skip
    check = _DailyCheck(keeper, span)
    record = class_.run(lambda _: check.if_due())
    check.now()
    shares = ((one.started_at, one.finished_at or span.ends_at,
               lab.flavors[one.flavor].share_mgpu)
              for one in class_.world.ran.values())  # fmt: skip
    busy, by_hour = busy_by(shares, span.starts_at, span.ends_at, question.gpus,
                            lambda at: at.hour)  # fmt: skip
    return Outcome(
        seed=question.seed, gpus=question.gpus, percent=question.percent,
        waits=tuple(record.waits), run_outs=tuple(record.run_outs),
        weeks=tuple(_weeks(lab, keeper, class_, today, weeks)), busy=busy, busy_by_hour=by_hour,
        steps=record.steps, took_s=time.perf_counter() - began,
    )  # fmt: skip


def _all(questions: Sequence[Question], processes: int) -> Iterator[Outcome]:
    if processes == 1:
        yield from map(simulate, questions)
        return
    # Fresh processes: a copy of this one might hold a lock that nobody gives back.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for one in as_completed([pool.submit(simulate, question) for question in questions]):
            yield one.result()


class _DailyCheck:
    """Check the books once a simulated day."""

    def __init__(self, keeper: MemoryKeeper, span: Span) -> None:
        self._keeper = keeper
        self._next_at = span.starts_at + _DAY

    def if_due(self) -> None:
        if self._keeper.clock.now() >= self._next_at:
            self._next_at = self._keeper.clock.now() + _DAY
            self.now()

    def now(self) -> None:
        found: list[Violation] = broken_in_memory(self._keeper)
        if found:
            raise BooksBroken(describe(found))


def _weeks(
    lab: Lab, keeper: MemoryKeeper, class_: Simulation, today: datetime, weeks: int | None
) -> Iterator[WeekUse]:
    """Sum up each section's weeks: by when it was used, and who had nothing left then."""
    for name, some in section_weeks(lab, today=today, weeks=weeks).items():
        section = lab.sections[name]
        for place, week in enumerate(some, start=1):
            given = GpuTime.total(_given(lab, section, who, week) for who in section.scholars)
            used = 0
            for who in section.scholars:
                holding = keeper.holdings.get(who)
                for entry in holding.entries if holding else ():
                    if entry.kind == "charge" and entry.from_at is not None:
                        used -= entry.posted.mgpu_ms if _lies_in(entry.from_at, week) else 0
            out = {one.scholar for one in class_.record.run_outs
                   if one.section == name and _lies_in(one.at, week)}  # fmt: skip
            yield WeekUse(section=name, week=week.number or place, given_mgpu_ms=given.mgpu_ms,
                          used_mgpu_ms=used, run_out=len(out),
                          scholars=len(section.scholars))  # fmt: skip


def _given(lab: Lab, section: Section, who: str, week: Week) -> GpuTime:
    boosts = (due.hours for due in due_in(lab, section)
              if week.starts_at < due.due_at <= week.ends_at)  # fmt: skip
    return entitlement(lab, section, who, week).hours + GpuTime.total(boosts)


def _lies_in(at: datetime, week: Week) -> bool:
    return week.starts_at <= at < week.ends_at
