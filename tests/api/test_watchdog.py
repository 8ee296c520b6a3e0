"""The last line of defence: the worker's note, and what is past its deadline."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from structlog.testing import capture_logs

from api.deadlines import Deadlines, SessionDeadline, read_deadlines, write_deadlines
from api.watchdog import Watchdog, overdue, served_if_possible
from api.watchdog_metrics import ALARMS, OUTCOMES, WatchdogMetrics
from quota.clock import ManualClock
from tests.api.processes import free_port
from tests.api.runtime import FakeRuntime, session

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
HORIZON = timedelta(hours=2)


def _note(**deadlines: datetime) -> Deadlines:
    sessions = tuple(
        SessionDeadline(ref=ref, lease_id=f"lease-{ref}", deadline=at)
        for ref, at in deadlines.items()
    )
    return Deadlines(written_at=NOON, runtime="fake", sessions=sessions)


class Watch:
    """A watchdog with its file, a clock by hand and a runtime by hand."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "deadlines.json"
        self.clock = ManualClock(NOON)
        self.runtime = FakeRuntime(self.clock.now)
        self.metrics = WatchdogMetrics()
        self.watchdog = Watchdog(self.path, self.runtime, self.clock, grace_s=1,
                                 metrics=self.metrics)  # fmt: skip

    def run(self, *refs: str) -> None:
        for ref in refs:
            self.runtime.run(session(NOON, ref))


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    return Watch(tmp_path)


def test_the_note_comes_back_as_it_was_written(watch: Watch) -> None:
    note = _note(a=NOON, b=NOON + HORIZON)
    write_deadlines(watch.path, note)
    assert read_deadlines(watch.path) == note
    assert [one.name for one in watch.path.parent.iterdir()] == ["deadlines.json"]


def test_a_session_is_overdue_from_its_deadline_on() -> None:
    note = _note(a=NOON, b=NOON + timedelta(milliseconds=1))
    assert [one.ref for one in overdue(note, NOON)] == ["a"]
    assert overdue(None, NOON) == ()


def test_p29_with_everything_else_dead_sessions_end_at_the_horizon(watch: Watch) -> None:
    watch.run("a", "b")
    write_deadlines(watch.path, _note(a=NOON + HORIZON, b=NOON + HORIZON * 2))
    watch.clock.advance(HORIZON - timedelta(seconds=1))
    assert watch.watchdog.look() == 0
    watch.clock.advance(timedelta(seconds=1))
    with capture_logs() as logs:
        assert watch.watchdog.look() == 1
    assert not watch.runtime.is_running("a")
    assert watch.runtime.is_running("b")
    assert [one["event"] for one in logs if one.get("alarm")] == ["session_outlived_deadline"]
    assert watch.watchdog.look() == 0, "what is gone is not stopped again"


def test_a_living_worker_leaves_nothing_to_do(watch: Watch) -> None:
    watch.run("a")
    for _ in range(20):
        write_deadlines(watch.path, _note(a=watch.clock.now() + HORIZON))
        watch.clock.advance(timedelta(seconds=15))
        assert watch.watchdog.look() == 0


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"version": 2}', '{"version": 1}', '{"version": 1, "written_at": 3}',
     json.dumps({"version": 1, "written_at": "2026-11-25T12:00:00", "runtime": "x",
                 "sessions": []}),
     json.dumps({"version": 1, "written_at": "2026-11-25T12:00:00Z", "runtime": "x",
                 "sessions": [{"ref": "a"}]})],
)  # fmt: skip
def test_p29_a_broken_note_keeps_the_last_good_one(watch: Watch, text: str) -> None:
    watch.run("a")
    write_deadlines(watch.path, _note(a=NOON + HORIZON))
    assert watch.watchdog.look() == 0
    watch.path.write_text(text)
    with pytest.raises(ValueError, match=r"."):
        read_deadlines(watch.path)
    watch.clock.advance(HORIZON)
    assert watch.watchdog.look() == 1


def test_a_note_that_is_no_text_and_one_that_vanished(watch: Watch) -> None:
    watch.run("a")
    assert watch.watchdog.look() == 0, "no note yet"
    write_deadlines(watch.path, _note(a=NOON + HORIZON))
    watch.watchdog.look()
    watch.path.write_bytes(b"\xff\xfe")
    watch.clock.advance(HORIZON / 2)
    assert watch.watchdog.look() == 0
    watch.path.unlink()
    watch.clock.advance(HORIZON / 2)
    assert watch.watchdog.look() == 1


def test_what_survives_a_stop_is_killed(watch: Watch) -> None:
    watch.run("a")
    watch.runtime.survives = {"stop"}
    write_deadlines(watch.path, _note(a=NOON))
    assert watch.watchdog.look() == 1
    assert watch.runtime.calls == [("stop", "a"), ("kill", "a")]


def test_one_that_cannot_be_stopped_holds_nobody_up_and_is_tried_again(watch: Watch) -> None:
    watch.run("a", "b")
    watch.runtime.survives = {"stop", "kill"}
    write_deadlines(watch.path, _note(a=NOON, b=NOON))
    with capture_logs() as logs:
        assert watch.watchdog.look() == 0
    assert sum(one["event"] == "overdue_not_stopped" for one in logs) == 2
    watch.runtime.survives = set()
    assert watch.watchdog.look() == 2


def test_a_runtime_that_does_not_answer_is_asked_again(watch: Watch) -> None:
    watch.run("a")
    watch.runtime.is_away = True
    write_deadlines(watch.path, _note(a=NOON))
    assert watch.watchdog.look() == 0
    watch.runtime.is_away = False
    assert watch.watchdog.look() == 1


# -- its metrics ----------------------------------------------------------------------------------


def test_the_age_of_the_note_shows_that_the_worker_is_dead(watch: Watch) -> None:
    def shown() -> float | None:
        return watch.metrics.registry.get_sample_value("gpulab_watchdog_note_timestamp_seconds")

    watch.watchdog.look()
    assert shown() == 0, "there is none yet"
    write_deadlines(watch.path, _note())
    for _ in range(3):
        watch.watchdog.look()
        watch.clock.advance(HORIZON)
    assert shown() == NOON.timestamp()


def test_every_alarm_of_the_watchdog_is_counted_from_the_start() -> None:
    metrics, port = WatchdogMetrics(), free_port()
    metrics.count_alarm("session_outlived_deadline")
    metrics.count_look("done")
    with served_if_possible(metrics, port, host="127.0.0.1"):
        text = httpx2.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text
    assert 'gpulab_watchdog_alarms_total{event="session_outlived_deadline"} 1.0' in text
    assert 'gpulab_watchdog_looks_total{outcome="done"} 1.0' in text
    for label in (*ALARMS, *OUTCOMES):
        assert f'"{label}"' in text


def test_p29_a_taken_port_does_not_end_the_last_line() -> None:
    metrics, port = WatchdogMetrics(), free_port()
    with (
        served_if_possible(metrics, port, host="127.0.0.1"),
        capture_logs() as logs,
        served_if_possible(WatchdogMetrics(), port, host="127.0.0.1"),
    ):
        pass
    assert [one["event"] for one in logs if one.get("alarm")] == ["metrics_not_served"]


# -- what an emergency let start, which is in no file ------------------------------------------


def test_p29_without_any_file_a_session_of_an_emergency_ends_at_its_own_deadline(
    watch: Watch,
) -> None:
    watch.runtime.run(session(NOON, "a", emergency_until=NOON + HORIZON, gpu_uuid="GPU-0"))
    watch.run("b")
    watch.clock.advance(HORIZON - timedelta(seconds=1))
    assert watch.watchdog.look() == 0
    watch.clock.advance(timedelta(seconds=1))
    assert watch.watchdog.look() == 1
    assert not watch.runtime.is_running("a")
    assert watch.runtime.is_running("b")
    assert watch.watchdog.look() == 0


def test_the_workers_word_counts_more_as_soon_as_it_has_one(watch: Watch) -> None:
    watch.runtime.run(session(NOON, "a", emergency_until=NOON + HORIZON / 2))
    write_deadlines(watch.path, _note(a=NOON + HORIZON))
    watch.clock.advance(HORIZON / 2)
    assert watch.watchdog.look() == 0, "its lease is paid for further"
    watch.clock.advance(HORIZON / 2)
    assert watch.watchdog.look() == 1, "and a dead worker's last word holds"


def test_p29_a_runtime_that_cannot_list_does_not_hide_what_the_file_names(watch: Watch) -> None:
    watch.run("a")
    write_deadlines(watch.path, _note(a=NOON))
    watch.runtime.lists = False
    assert watch.watchdog.look() == 1
