"""What a session does, told from looks at it: a pure function of what was seen."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from api.gpus.states import History, Look, computes, state_of, with_look
from quota.lab_idle import IdleRules
from quota.session_states import SessionState
from tests.quota.books import NOON

RULES = IdleRules()
EVERY_S = 15
GAP = timedelta(seconds=60)
MISSING: dict[str, Callable[[datetime], Look]] = {
    "gpu": lambda at: look(at, has_gpu_process=None, sm_percent=None),
    "sm": lambda at: look(at, sm_percent=None),
    "cpu": lambda at: look(at, cpu_cores=None),
}


def look(at: datetime, **told: object) -> Look:
    plain: dict[str, Any] = {"has_gpu_process": True, "sm_percent": 0.0, "cpu_cores": 0.01} | told
    return Look(at=at, **plain)


@dataclass
class Session:
    """A session that is looked at every 15 s; somebody was there when it began."""

    now: datetime = NOON
    person_at: datetime | None = NOON
    history: History | None = None
    rules: IdleRules = field(default_factory=IdleRules)

    def does(self, for_min: float, **told: object) -> SessionState:
        for _ in range(round(for_min * 60 / EVERY_S)):
            self.now += timedelta(seconds=EVERY_S)
            self.sees(look(self.now, **told))
        return self.state()

    def sees(self, one: Look) -> None:
        self.history = with_look(self.history, one, self.rules, longest_gap=GAP)

    def state(self) -> SessionState:
        assert self.history is not None
        return state_of(self.history, self.person_at, self.rules)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def test_somebody_is_there() -> None:
    assert Session().does(5) == SessionState(state="active", since=NOON)


def test_memory_that_is_held_and_not_used_is_holding_since_the_last_sign() -> None:
    found = Session(person_at=at(3)).does(20)
    assert (found.state, found.since) == ("holding", at(3))


def test_nothing_on_the_gpu_is_empty_since_it_was_let_go() -> None:
    session = Session()
    session.does(5)
    found = session.does(20, has_gpu_process=False, sm_percent=None)
    assert (found.state, found.since) == ("empty", at(5))


def test_a_gpu_in_use_is_training_when_nobody_is_there() -> None:
    session = Session()
    assert session.does(9, sm_percent=60.0).state == "active"
    assert session.does(5, sm_percent=60.0).state == "training"


def test_training_with_pauses_is_training() -> None:
    """Every second minute it reads data, and the GPU waits."""
    session = Session()
    for _ in range(10):
        session.does(1, sm_percent=30.0)
        session.does(1, sm_percent=0.0, cpu_cores=0.9)
    assert session.state().state == "training"


def test_from_training_to_holding_takes_until_all_is_quiet() -> None:
    session = Session()
    session.does(30, sm_percent=60.0)
    assert session.does(5).state == "training", "on average it still is"
    found = session.does(6)
    assert (found.state, found.since) == ("holding", at(30))


@pytest.mark.parametrize("told", [{"cpu_cores": 0.3}, {"sm_percent": 7.0}])
def test_what_computes_is_never_idle(told: dict[str, float]) -> None:
    assert Session().does(120, **told).state in ("active", "training")


@pytest.mark.parametrize("told", [{"cpu_cores": 0.09}, {"sm_percent": 4.0}])
def test_a_little_is_not_computing(told: dict[str, float]) -> None:
    """The negative control: the thresholds are those of the promises."""
    assert Session().does(30, **told).state == "holding"


@pytest.mark.parametrize("missing", MISSING)
def test_idle_never_on_missing_data(missing: str) -> None:
    """A look that lacks something, every ten minutes, and no idle time ever becomes long."""
    session = Session()
    longest = timedelta()
    for _ in range(12):
        session.does(10)
        session.sees(MISSING[missing](session.now + timedelta(seconds=1)))
        assert session.state().state == "unknown"
        found = session.does(9.75)
        if found.is_idle:
            longest = max(longest, session.now - found.since)
    assert longest < timedelta(minutes=10)
    session.does(45)
    assert session.now - session.state().since > timedelta(minutes=30), "the negative control"


def test_idle_never_when_the_hub_does_not_tell_of_people() -> None:
    session = Session(person_at=None)
    assert session.does(120).state == "unknown"
    session.person_at = NOON
    assert session.state().state == "holding", "it has been seen all the time"


def test_idle_begins_anew_after_a_gap_in_the_looks() -> None:
    session = Session()
    session.does(40)
    session.now += timedelta(minutes=5)
    assert session.does(1).state == "active", "it may have computed up to then"
    found = session.does(12)
    assert (found.state, found.since) == ("holding", at(45.25))


def test_a_worker_that_has_just_begun_knows_of_no_idle_time() -> None:
    session = Session(person_at=NOON - timedelta(hours=8))
    assert session.does(9).state == "active"


def test_what_computes_in_silence_is_told_to_the_hub_and_nothing_else() -> None:
    session = Session(person_at=NOON - timedelta(hours=8))
    session.does(2)
    assert session.history is not None
    assert not computes(session.history, RULES), "nothing was seen to compute"
    session.does(1, cpu_cores=1.0)
    assert computes(session.history, RULES)
    session.does(11)
    assert not computes(session.history, RULES)
