"""A service that is dead, slow or wrong never takes the hub down (P28)."""

import os
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from lab.trial.running import RunningLab
from lab.trial.visitor import Visitor
from lab.trial.waiting import wait_for

pytestmark = pytest.mark.slow

_STARTS = 30
_FAILURES_ALLOWED = 5
# Five seconds for asking, and something for the hub's own work on a busy machine.
_ANSWER_S = 8.0
_LATE_S = 1.0

_SITE = """
from pathlib import Path

c.Spawner.consecutive_failure_limit = {limit}

def may_fail(spawner, auth_state):
    if Path("{fault}").exists():
        raise RuntimeError("a fault of the hub's own")

c.Spawner.auth_state_hook = may_fail
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    folder = tmp_path_factory.mktemp("p28")
    config = folder / "site.py"
    config.write_text(_SITE.format(limit=_FAILURES_ALLOWED, fault=folder / "lab" / "fault"))
    with RunningLab(folder / "lab", environment={"GPULAB_HUB_CONFIG": str(config)}) as running:
        yield running


@contextmanager
def refused(lab: RunningLab) -> Iterator[None]:
    lab.supervisor.stop("service")
    try:
        yield
    finally:
        lab.supervisor.start("service")


@contextmanager
def server_error(lab: RunningLab) -> Iterator[None]:
    with refused(lab), lab.garbage_service(status=500):
        yield


@contextmanager
def garbage(lab: RunningLab) -> Iterator[None]:
    with refused(lab), lab.garbage_service():
        yield


@contextmanager
def frozen(lab: RunningLab) -> Iterator[None]:
    pid = lab.pid_of("service")
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize(
    "trouble",
    [
        refused,
        frozen,
        pytest.param(server_error, marks=pytest.mark.long),
        pytest.param(garbage, marks=pytest.mark.long),
    ],
)
def test_p28_thirty_refused_starts_leave_the_hub_alone(lab: RunningLab, trouble: object) -> None:
    assert callable(trouble)
    people = [lab.logged_in(name) for name in ("ada", "blaise", "chen", "dina", "emeka")]
    assert all(person.token for person in people)
    hub, before = lab.pid_of("hub"), _loop_intervals(lab)
    with trouble(lab), ThreadPoolExecutor(len(people)) as pool:
        answers = list(pool.map(_ask_often, people))
    assert sum(len(some) for some in answers) == _STARTS
    for status, took_s in (one for some in answers for one in some):
        assert (status, took_s < _ANSWER_S) == (503, True)
    assert lab.pid_of("hub") == hub
    assert _share_late(before, _loop_intervals(lab)) < 0.01
    assert "consecutive spawns failed" not in lab.log_of("hub")
    wait_for("a service", lab.is_service_up, within_s=30)
    wait_for("a start on a GPU", lambda: people[0].spawn("quarter-gpu").status_code in (201, 202),
             within_s=60, every_s=2)  # fmt: skip
    wait_for("ada's session", people[0].is_running, within_s=90)
    people[0].stop()


def test_p28_the_limit_is_really_set(lab: RunningLab) -> None:
    """The negative control: what is no refusal is counted, and ends the hub."""
    hub, dina = lab.pid_of("hub"), lab.logged_in("dina")
    assert dina.token
    fault = lab.state.root.parent / "fault"
    fault.touch()
    for _ in range(_FAILURES_ALLOWED):
        assert dina.spawn("cpu").status_code == 500
    fault.unlink()
    wait_for("another hub", lambda: lab.pid_of("hub") not in (0, hub), within_s=60)


def _ask_often(person: Visitor) -> list[tuple[int, float]]:
    answers = []
    for _ in range(_STARTS // 5):
        began = time.monotonic()
        status = person.spawn("quarter-gpu").status_code
        answers.append((status, time.monotonic() - began))
    return answers


def _loop_intervals(lab: RunningLab) -> tuple[float, float]:
    """Return how many turns the hub's event loop took, and how many within a second."""
    text = lab.hub_metrics((lab.state.secrets / "service_token").read_text().strip())
    found = {
        edge: float(count)
        for edge, count in re.findall(
            r'^jupyterhub_event_loop_interval_seconds_bucket{le="([^"]+)"} (\S+)$',
            text,
            re.MULTILINE,
        )
    }
    return found["+Inf"], max(n for edge, n in found.items() if float(edge) <= _LATE_S)


def _share_late(before: tuple[float, float], after: tuple[float, float]) -> float:
    turns, in_time = (late - early for late, early in zip(after, before, strict=True))
    assert turns > 0
    return 1 - in_time / turns
