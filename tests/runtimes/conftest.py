"""Both runtimes, each with a way to start sessions on it; and the hub's spawner at an engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.runtimes.docker import DockerRuntime
from quota.clock import SystemClock
from tests.containers import Containers, containers_of
from tests.engine import Engine, throwaway_engine, throwaway_network
from tests.runtimes.sessions import DockerSessions, ProcessSessions, Sessions


@pytest.fixture
def process_sessions(tmp_path: Path) -> Iterator[ProcessSessions]:
    sessions = ProcessSessions(tmp_path / "sessions")
    yield sessions
    sessions.end_all()


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with throwaway_engine() as engine:
        yield engine


@pytest.fixture(scope="module")
def network(engine: Engine) -> Iterator[str]:
    with throwaway_network(engine) as name:
        yield name


@pytest.fixture
def containers(engine: Engine, network: str) -> Iterator[Containers]:
    """Sessions of the hub's own spawner."""
    with containers_of(engine, network) as some:
        yield some


@pytest.fixture
def docker_sessions(engine: Engine) -> Iterator[DockerSessions]:
    runtime = DockerRuntime(engine.hub_id, SystemClock())
    yield DockerSessions(engine, runtime)
    for one in engine.client.containers(
        all=True, filters={"label": f"gpulab.hub={engine.hub_id}"}
    ):
        engine.client.remove_container(one["Id"], v=True, force=True)
    runtime.close()


@pytest.fixture(params=["process", pytest.param("docker", marks=pytest.mark.docker)])
def sessions(request: pytest.FixtureRequest) -> Sessions:
    some: Sessions = request.getfixturevalue(f"{request.param}_sessions")
    return some
