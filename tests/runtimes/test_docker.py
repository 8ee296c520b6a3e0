"""Containers: reading the engine's words, and an engine in trouble."""

import gc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from api.runtimes import docker as docker_runtime
from api.runtimes.docker import DockerRuntime, instant, observed_from
from api.runtimes.protocol import RuntimeUnavailable
from quota.clock import SystemClock
from tests.engine import sick_engine
from tests.runtimes.sessions import RUNS, DockerSessions, eventually

NEVER = "0001-01-01T00:00:00Z"


def inspected(**state: Any) -> dict[str, Any]:
    whole = {"Running": False, "StartedAt": NEVER, "FinishedAt": NEVER, "ExitCode": 0, "Error": "",
             "OOMKilled": False, **state}  # fmt: skip
    labels = {"gpulab.lease": str(uuid4()), "gpulab.hub": "main", "gpulab.user": "ada"}
    return {"Id": "c0ffee", "State": whole, "Config": {"Labels": labels}}


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-11-26T10:00:00.123456789Z", 123),
        ("2026-11-26T10:00:00.999999999Z", 999),
        ("2026-11-26T10:00:00.1Z", 100),
        ("2026-11-26T10:00:00Z", 0),
        ("2026-11-26T11:00:00.05+01:00", 50),
    ],
)
def test_p16_instants_are_cut_to_whole_milliseconds(text: str, ms: int) -> None:
    assert instant(text) == datetime(2026, 11, 26, 10, tzinfo=UTC) + timedelta(milliseconds=ms)


@pytest.mark.parametrize("text", [NEVER, "", "yesterday"])
def test_year_one_stands_for_never(text: str) -> None:
    assert instant(text) is None


def test_a_container_that_never_started_is_seen_so() -> None:
    one = observed_from(inspected(ExitCode=128, Error="no such device"))
    assert one is not None
    assert (one.started_at, one.finished_at, one.exit_code) == (None, None, None)


def test_a_container_that_runs_again_has_no_end() -> None:
    one = observed_from(inspected(Running=True, StartedAt="2026-11-26T10:00:00Z",
                                  FinishedAt="2026-11-26T09:00:00Z"))  # fmt: skip
    assert one is not None
    assert one.is_running


def test_p11_an_end_before_the_start_is_no_negative_time() -> None:
    one = observed_from(inspected(StartedAt="2026-11-26T10:00:00Z",
                                  FinishedAt="2026-11-26T09:00:00Z"))  # fmt: skip
    assert one is not None
    assert one.finished_at == one.started_at


def test_an_end_that_nobody_knows_is_left_out() -> None:
    assert observed_from(inspected(StartedAt="2026-11-26T10:00:00Z")) is None


def test_the_reason_of_an_end_is_kept() -> None:
    ended = {"StartedAt": "2026-11-26T10:00:00Z", "FinishedAt": "2026-11-26T10:01:00Z"}
    one = observed_from(inspected(**ended, ExitCode=137, OOMKilled=True))
    assert one is not None
    assert (one.exit_code, one.ended_how) == (137, "out of memory")


@pytest.mark.docker
def test_a_created_container_is_seen_and_can_be_removed(docker_sessions: DockerSessions) -> None:
    ref, lease_id = docker_sessions.create(RUNS)
    (one,) = docker_sessions.runtime.observe()
    assert (one.ref, one.lease_id, one.started_at) == (ref, lease_id, None)
    assert not docker_sessions.runtime.is_running(ref)
    docker_sessions.runtime.stop(ref, 1)
    docker_sessions.runtime.kill(ref)
    docker_sessions.runtime.remove(ref)
    assert docker_sessions.runtime.observe() == []


@pytest.mark.docker
def test_a_paused_container_runs(docker_sessions: DockerSessions) -> None:
    ref, _ = docker_sessions.start(RUNS)
    docker_sessions.engine.client.pause(ref)
    (one,) = docker_sessions.runtime.observe()
    assert one.is_running
    docker_sessions.runtime.kill(ref)
    assert not docker_sessions.runtime.is_running(ref)


@pytest.mark.docker
def test_p25_a_container_removed_by_root_is_simply_gone(docker_sessions: DockerSessions) -> None:
    ref, _ = docker_sessions.start(RUNS)
    docker_sessions.engine.client.remove_container(ref, force=True)
    assert docker_sessions.runtime.observe() == []
    docker_sessions.runtime.stop(ref, 1)
    docker_sessions.runtime.kill(ref)
    docker_sessions.runtime.remove(ref)


@pytest.mark.docker
def test_many_deaths_are_told_one_after_the_other(docker_sessions: DockerSessions) -> None:
    docker_sessions.runtime.wait_event(0.1)
    refs = [docker_sessions.start(RUNS)[0] for _ in range(3)]
    told = 0
    while docker_sessions.runtime.wait_event(0.5):
        told += 1
    assert told == 3
    assert len(docker_sessions.runtime.observe()) == len(refs)


# -- an engine in trouble -----------------------------------------------------------------------


REPLY_500 = b"HTTP/1.1 500 Oh no\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


# The client leaves the socket of a connection that failed to the garbage collector.
docker_leaks = pytest.mark.filterwarnings("ignore::ResourceWarning")


@docker_leaks
@pytest.mark.parametrize("answer", [REPLY_500, b"not HTTP at all\r\n\r\n", b""])
def test_p20_an_engine_in_trouble_leads_to_no_conclusion(
    tmp_path: Path, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_runtime, "_ANSWER_S", 0.3)
    with sick_engine(tmp_path, answer) as url:
        runtime = DockerRuntime("main", SystemClock(), base_url=url)
        for question in (
            runtime.observe, lambda: runtime.is_running("c0ffee"),
            lambda: runtime.stop("c0ffee", 0), lambda: runtime.kill("c0ffee"),
            lambda: runtime.remove("c0ffee"),
        ):  # fmt: skip
            with pytest.raises(RuntimeUnavailable):
                question()
        runtime.close()
    gc.collect()


@docker_leaks
def test_an_engine_that_comes_up_later_is_found(tmp_path: Path) -> None:
    runtime = DockerRuntime("main", SystemClock(), base_url=f"unix://{tmp_path}/engine.sock")
    for question in (runtime.observe, lambda: runtime.wait_event(0.1)):
        with pytest.raises(RuntimeUnavailable):
            question()
    found = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
    with sick_engine(tmp_path, found + b"Content-Length: 2\r\n\r\n[]"):
        eventually(lambda: runtime.observe() == [])
    runtime.close()
    gc.collect()
