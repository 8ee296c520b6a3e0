"""Idle GPUs in the books: warned, kept or given back; on both databases."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine

from quota.errors import GpuIsWanted, NoSuchLease
from quota.idling import Idling
from quota.lab import Lab
from quota.session_states import SessionState, StateName
from tests.quota.books import LAB_YAML, Desk, make_lab


class Room:
    """A desk, and eyes on what its sessions do."""

    def __init__(self, engine: Engine, lab: Lab | None = None) -> None:
        self.desk = Desk(engine, lab or make_lab())
        self.idling = Idling(self.desk.books)
        self.doing: dict[UUID, SessionState] = {}

    def start(self, who: str = "ada", flavor: str = "whole") -> UUID:
        lease_id, _ref = self.desk.run(who, flavor)
        self.does(lease_id, "active")
        return lease_id

    def does(self, lease_id: UUID, state: StateName) -> None:
        self.doing[lease_id] = SessionState(state=state, since=self.desk.clock.now())

    def go(self, minutes: int, *, step: int = 1) -> list[int]:
        """Let time pass; return after how many minutes sessions were told to end."""
        told = []
        for minute in range(step, minutes + 1, step):
            self.desk.go(every_s=60 * step, minutes=step)
            told += [minute for _ in self.idling.note(self.doing)]
        return told

    def texts(self, kind: str, who: str = "ada") -> list[str]:
        view = self.desk.books.account(who)
        return [one.text for one in reversed(view.notices) if one.kind == kind]

    def release_in_min(self, who: str = "ada") -> float | None:
        at = self.desk.books.account(who).sessions[0].release_at
        return None if at is None else (at - self.desk.clock.now()).total_seconds() / 60


@pytest.fixture
def room(engine: Engine) -> Iterator[Room]:
    room = Room(engine)
    yield room
    room.desk.check()


@pytest.mark.parametrize("state", ["holding", "empty"])
def test_idle_is_warned_at_twenty_minutes_and_given_back_at_thirty(
    room: Room, state: StateName
) -> None:
    lease_id = room.start()
    room.does(lease_id, state)
    room.go(15, step=5)
    assert room.go(4) == []
    assert room.texts("idle") == []
    assert room.release_in_min() == 11
    assert room.go(10, step=1) == []
    assert len(room.texts("idle")) == 1, "once"
    assert "in 10 minutes" in room.texts("idle")[0]
    assert room.go(1) == [1]
    room.desk.go(minutes=1)
    assert room.desk.books.lease(lease_id).lease.end_reason == "idle"
    assert "30 minutes" in room.texts("stopped")[0]
    assert "files are kept" in room.texts("stopped")[0]
    assert room.desk.ask("blaise", "whole").lease.state == "held", "the GPU is free"
    assert room.desk.ask("ada", "cpu").lease.state == "held", "offered on CPU"


def test_idle_is_nobody_else(room: Room) -> None:
    """The negative control; of `unknown` nothing follows, however long it lasts."""
    people: dict[str, StateName] = {"ada": "active", "blaise": "training", "chen": "unknown"}
    for who, state in people.items():
        room.does(room.start(who, "quarter"), state)
    assert room.go(120, step=10) == []
    for who in people:
        assert room.texts("idle", who) == room.texts("stopped", who) == []


def test_whoever_comes_back_has_all_the_time_again(room: Room) -> None:
    lease_id = room.start()
    room.does(lease_id, "holding")
    room.go(25, step=5)
    room.does(lease_id, "active")
    room.go(1)
    assert room.release_in_min() is None
    room.does(lease_id, "holding")
    assert room.go(25, step=5) == room.go(4) == []
    assert len(room.texts("idle")) == 2
    assert room.go(1) == [1]


def test_an_answer_keeps_the_gpu_for_thirty_minutes(room: Room) -> None:
    lease_id = room.start()
    room.does(lease_id, "holding")
    room.go(25, step=5)
    until = room.idling.keep(lease_id).kept_until
    assert until == room.desk.clock.now() + timedelta(minutes=30)
    assert room.idling.keep(lease_id).kept_until == until, "safe to repeat"
    assert room.go(20, step=5) == room.go(9) == []
    assert len(room.texts("idle")) == 2, "warned again, ten minutes before"
    assert room.go(1) == [1]


def test_an_answer_does_not_count_while_somebody_waits(room: Room) -> None:
    lease_id = room.start()
    room.start("blaise")
    room.does(lease_id, "holding")
    room.go(25, step=5)
    room.idling.keep(lease_id)
    room.go(10, step=5)
    waiting = room.desk.ask("chen", lease_id=uuid4())
    assert waiting.lease.state == "waiting"
    with pytest.raises(GpuIsWanted):
        room.idling.keep(lease_id)
    told = []
    for minute in range(1, 12):
        room.desk.ask("chen", lease_id=waiting.lease.id)
        told += [minute for _ in room.go(1)]
    assert told == [11], "warned at once, and given ten minutes"
    assert "cannot be kept" in room.texts("idle")[-1]
    room.desk.go(seconds=30)
    assert room.desk.ask("chen", lease_id=waiting.lease.id).lease.state == "held"


def test_what_the_lab_switches_off_is_off(engine: Engine) -> None:
    lab = make_lab(LAB_YAML + "idle: {holding_min: 0}\n")
    room = Room(engine, lab)
    room.does(room.start(), "holding")
    assert room.go(90, step=10) == []
    assert room.release_in_min() is None


def test_states_are_kept_as_long_as_the_session(room: Room) -> None:
    lease_id = room.start()
    room.does(lease_id, "training")
    room.go(1)
    since = room.doing[lease_id].since
    room.does(lease_id, "training")
    room.go(1)
    shown = room.desk.books.account("ada").sessions[0].state
    assert shown is not None
    assert (shown.state, shown.since) == ("training", since), "it is the same training"
    room.desk.finish(f"c-{lease_id}")
    room.desk.tick()
    other = room.start("blaise")
    room.doing = {other: room.doing[other]}
    room.go(1)
    assert [one.session.lease_id for one in room.idling.running()] == [other]
    with pytest.raises(NoSuchLease):
        room.idling.keep(lease_id)


def test_only_sessions_on_gpus_can_be_kept(room: Room) -> None:
    lease_id, _ = room.desk.run("ada", "cpu")
    with pytest.raises(NoSuchLease):
        room.idling.keep(lease_id)
