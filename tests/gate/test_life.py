"""The whole life of a session through the gate: the hub's spawner and the worker's runtime."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from uuid import UUID

import docker
import pytest

from api.runtimes.docker import DockerRuntime
from api.runtimes.protocol import RuntimeUnavailable, StillRunning
from hub.refusals import Refused
from hub.spawners import LabDockerSpawner
from quota.clock import SystemClock
from tests.engine import BASE_IMAGE, Engine
from tests.gate.rig import RunningGate, ask, policy_for, running_gate
from tests.hub.spawning import Spawning, hub_of
from tests.runtimes.sessions import eventually

pytestmark = pytest.mark.docker

SLEEPS = ["sh", "-c", "exec sleep 600"]


@pytest.fixture
def hub(gate: RunningGate) -> Iterator[Spawning]:
    """A hub that knows the gate's address and no other."""
    kept = LabDockerSpawner._client
    LabDockerSpawner._client = docker.APIClient(base_url=gate.url, version="auto")
    try:
        with hub_of(LabDockerSpawner) as hub:
            yield hub
    finally:
        LabDockerSpawner._client.close()
        LabDockerSpawner._client = kept


@pytest.fixture
def worker(gate: RunningGate) -> Iterator[DockerRuntime]:
    with closing(DockerRuntime(gate.policy.hub_id, SystemClock(), base_url=gate.url)) as runtime:
        yield runtime


def test_a_session_lives_its_whole_life_through_the_gate(
    gate: RunningGate, hub: Spawning, worker: DockerRuntime
) -> None:
    spawner = hub.spawner(hub_id=gate.policy.hub_id, network_name=gate.policy.network, cmd=SLEEPS,
                          image=BASE_IMAGE, cpus=1, ram_mib=256)  # fmt: skip
    refused_before = len(gate.refusals())
    worker.wait_event(0.1)

    async def live() -> None:
        ip, port = await spawner.start()
        assert (bool(ip), port) == (True, 8888)
        assert await spawner.poll() is None
        assert worker.wait_event(20), "its start"
        (seen,) = [one for one in worker.observe() if one.lease_id == UUID(spawner.lease_id)]
        assert (seen.account, seen.is_running) == ("ada", True)
        with pytest.raises(StillRunning):
            worker.remove(seen.ref)
        await spawner.stop()
        assert worker.wait_event(20), "its end"
        assert not worker.is_running(seen.ref)
        worker.kill(seen.ref)
        (gone,) = [one for one in worker.observe() if one.ref == seen.ref]
        assert gone.finished_at is not None
        worker.remove(seen.ref)
        assert seen.ref not in {one.ref for one in worker.observe()}
        worker.stop(seen.ref, 1)

    asyncio.run(live())
    assert gate.refusals()[refused_before:] == []


def test_p42_a_refusal_of_the_gate_is_a_plain_sentence_on_the_page(
    gate: RunningGate, hub: Spawning
) -> None:
    spawner = hub.spawner(hub_id=gate.policy.hub_id, network_name="other", cmd=SLEEPS,
                          image=BASE_IMAGE, cpus=1, ram_mib=256)  # fmt: skip
    with pytest.raises(Refused, match="its network has to be gpulab-test"):
        asyncio.run(spawner.start())


def test_a_wait_for_events_that_is_given_up_is_let_go(gate: RunningGate) -> None:
    client = docker.APIClient(base_url=gate.url, version="auto")
    filters = {"type": ["container"], "label": [gate.policy.label]}
    with closing(client):
        streams = [client.events(filters=filters, decode=True) for _ in range(3)]
        eventually(lambda: open_sockets(gate) >= 6)
        for stream in streams:
            stream.close()
    eventually(lambda: open_sockets(gate) == 0)


def open_sockets(gate: RunningGate) -> int:
    """Count the gate's connections, on both sides, that are open now."""
    lines = Path("/proc/net/unix").read_text().splitlines()[1:]
    inodes = {line.split()[6] for line in lines if line.split()[5] == "03"}
    links = set(map(_link, Path(f"/proc/{gate.pid}/fd").iterdir()))
    return len({f"socket:[{inode}]" for inode in inodes} & links) - _LOOP


def _link(descriptor: Path) -> str:
    """Tell what a descriptor is open on; nothing if the gate has closed it meanwhile."""
    try:
        return str(descriptor.readlink())
    except FileNotFoundError:
        return ""


# An event loop wakes itself by a pair of sockets.
_LOOP = 2


def test_many_ask_at_once(gate: RunningGate) -> None:
    answers: list[bool] = []

    def look() -> None:
        with closing(docker.APIClient(base_url=gate.url, version="auto")) as client:
            answers.extend(client.ping() for _ in range(5))

    threads = [threading.Thread(target=look) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 100


def test_whoever_opens_too_many_connections_is_told_so(gate: RunningGate) -> None:
    with ExitStack() as stack:
        for _ in range(256):
            connection = stack.enter_context(closing(socket.socket(socket.AF_UNIX)))
            connection.connect(str(gate.socket))
        eventually(lambda: open_sockets(gate) >= 256)
        assert ask(gate.socket, "GET", "/_ping").status == 503
    eventually(lambda: ask(gate.socket, "GET", "/_ping").status == 200)


def test_p20_an_engine_that_is_silent_is_told_as_such(
    engine: Engine, network: str, tmp_path: Path
) -> None:
    """Behind the gate too, silence is no end of a session."""
    policy, missing = policy_for(engine, network), tmp_path / "no-engine.sock"
    with running_gate(tmp_path, engine, policy, engine_socket=missing, mode="660") as gate:
        assert gate.socket.stat().st_mode & 0o777 == 0o660
        runtime = DockerRuntime(engine.hub_id, SystemClock(), base_url=gate.url)
        with closing(runtime), pytest.raises(RuntimeUnavailable):
            runtime.observe()
        assert gate.refusals()[0]["event"] == "engine_silent"


def test_the_socket_is_its_owners_only(gate: RunningGate) -> None:
    assert gate.socket.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("wrong", ["{", '{"hub_id": "main"}', '{"unheard": 1}'])
def test_a_wrong_policy_is_one_sentence_and_no_gate(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "gate.json").write_text(wrong)
    ended = started(tmp_path / "gate.json", tmp_path / "gate.sock")
    assert ended.returncode == 1
    assert ended.stderr.startswith("gate: the gate's policy ")
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "gate.sock").exists()


def started(policy: Path, path: Path) -> subprocess.CompletedProcess[str]:
    told = {"GPULAB_GATE_POLICY": str(policy), "GPULAB_GATE_SOCKET": str(path)}
    return subprocess.run([sys.executable, "-m", "gate"], env={**os.environ, **told}, text=True,
                          capture_output=True, timeout=30, check=False)  # fmt: skip
