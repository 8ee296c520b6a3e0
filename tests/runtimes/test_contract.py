"""What worker and watchdog rely on, kept by both runtimes."""

import threading
import time
from contextlib import suppress
from datetime import timedelta

import pytest

from api.runtimes.protocol import StillRunning
from quota.clock import SystemClock
from quota.observed import Observed
from tests.runtimes.sessions import ACCOUNT, IGNORES_SIGTERM, RUNS, Sessions, eventually

CLOCK = SystemClock()
# The process's start is known to a tick of the kernel, a hundredth of a second.
TICK = timedelta(milliseconds=20)


def one_seen(sessions: Sessions) -> Observed:
    (one,) = sessions.runtime.observe()
    return one


def test_nothing_runs_at_first(sessions: Sessions) -> None:
    assert sessions.runtime.observe() == []


def test_a_running_session_is_seen_with_its_lease_and_real_start(sessions: Sessions) -> None:
    before = CLOCK.now()
    ref, lease_id = sessions.start(RUNS)
    one = one_seen(sessions)
    assert (one.ref, one.lease_id, one.account, one.flavor) == (ref, lease_id, ACCOUNT, "cpu")
    assert one.is_running
    assert one.finished_at is None
    assert one.exit_code is None
    assert one.started_at is not None
    assert before - TICK <= one.started_at <= CLOCK.now()
    assert one.started_at.microsecond % 1000 == 0
    assert sessions.runtime.is_running(ref)
    assert one_seen(sessions) == one, "the start does not move"


def test_p25_a_session_that_ends_by_itself_is_seen_until_it_is_removed(sessions: Sessions) -> None:
    ref, _ = sessions.start("sleep 0.2; exit 3")
    eventually(lambda: not sessions.runtime.is_running(ref))
    one = one_seen(sessions)
    assert one.exit_code == 3
    assert one.started_at is not None
    assert one.finished_at is not None
    assert timedelta(milliseconds=200) - TICK <= one.finished_at - one.started_at
    assert one.finished_at <= CLOCK.now()
    sessions.runtime.remove(ref)
    assert sessions.runtime.observe() == []


def test_stop_returns_when_the_session_is_gone(sessions: Sessions) -> None:
    ref, _ = sessions.start("trap 'exit 0' TERM; echo ready; sleep 600 & wait")
    eventually(lambda: "ready" in sessions.output(ref))
    sessions.runtime.stop(ref, 10)
    assert not sessions.runtime.is_running(ref)
    assert one_seen(sessions).exit_code == 0


def test_p17_what_ignores_sigterm_is_gone_all_the_same(sessions: Sessions) -> None:
    ref, _ = sessions.start(IGNORES_SIGTERM)
    eventually(lambda: "ready" in sessions.output(ref))
    began = time.monotonic()
    with suppress(StillRunning):
        sessions.runtime.stop(ref, 1)
    assert time.monotonic() - began >= 0.9, "it had its grace"
    sessions.runtime.kill(ref)
    assert not sessions.runtime.is_running(ref)
    one = one_seen(sessions)
    assert one.exit_code == 137
    assert one.finished_at is not None


def test_kill_ends_at_once_and_leaves_a_record(sessions: Sessions) -> None:
    ref, _ = sessions.start(IGNORES_SIGTERM)
    eventually(lambda: "ready" in sessions.output(ref))
    began = time.monotonic()
    sessions.runtime.kill(ref)
    assert time.monotonic() - began < 5
    assert one_seen(sessions).finished_at is not None


def test_what_runs_is_not_removed(sessions: Sessions) -> None:
    ref, _ = sessions.start(RUNS)
    with pytest.raises(StillRunning):
        sessions.runtime.remove(ref)
    assert one_seen(sessions).is_running


def test_what_is_gone_can_be_stopped_killed_and_removed_again(sessions: Sessions) -> None:
    ref, _ = sessions.start("exit 0")
    eventually(lambda: not sessions.runtime.is_running(ref))
    for _ in range(2):
        sessions.runtime.stop(ref, 1)
        sessions.runtime.kill(ref)
        sessions.runtime.remove(ref)
    assert sessions.runtime.observe() == []
    assert not sessions.runtime.is_running(ref)


def test_another_hubs_sessions_are_not_seen(sessions: Sessions) -> None:
    ref, _ = sessions.start("exit 0", hub_id="somebody-else")
    try:
        assert sessions.runtime.observe() == []
    finally:
        eventually(lambda: not sessions.runtime.is_running(ref))
        sessions.runtime.remove(ref)


def test_waiting_ends_early_when_something_starts_or_dies(sessions: Sessions) -> None:
    assert not sessions.runtime.wait_event(0.3), "nothing happened"
    started: list[str] = []
    starter = threading.Timer(0.3, lambda: started.append(sessions.start(RUNS)[0]))
    starter.start()
    assert sessions.runtime.wait_event(20)
    starter.join()
    while sessions.runtime.wait_event(0.6):
        pass  # the rest of the start
    killer = threading.Timer(0.3, lambda: sessions.runtime.kill(started[0]))
    killer.start()
    assert sessions.runtime.wait_event(20)
    killer.join()


def test_p02_what_happens_between_two_waits_is_told_by_the_next(sessions: Sessions) -> None:
    sessions.runtime.wait_event(0.1)
    sessions.start(RUNS)
    began = time.monotonic()
    assert sessions.runtime.wait_event(20)
    assert time.monotonic() - began < 5
