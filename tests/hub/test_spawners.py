"""The real spawners: process sessions on this machine, containers at a real engine."""

import asyncio
import contextlib
import gc
import json
import resource
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import docker
import pytest

from api.runtimes.docker import DockerRuntime
from api.runtimes.process import ProcessRuntime
from hub.refusals import Refused
from hub.spawners import LabDockerSpawner, ProcessSpawner
from quota.clock import SystemClock
from tests.engine import BASE_IMAGE, Engine, sick_engine, throwaway_engine, throwaway_network
from tests.hub.spawning import Spawning, hub_of
from tests.runtimes.sessions import eventually

# Further arguments, as the spawner gives them to root, are nothing to a shell's script.
SLEEPS = ["sh", "-c", "exec sleep 600"]
GPU = "GPU-8d6ff0b4-3d1c-4a0a-9d0e-0f4c35f3b9a1"

# -- processes ------------------------------------------------------------------------------


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Spawning]:
    with hub_of(ProcessSpawner) as hub:
        yield hub
    runtime = ProcessRuntime(tmp_path / "sessions", "main")
    for one in runtime.observe():
        runtime.kill(one.ref)


def test_a_process_session_starts_runs_and_stops(processes: Spawning, tmp_path: Path) -> None:
    spawner = processes.spawner(state_dir=str(tmp_path), cmd=SLEEPS, flavor_name="quarter-gpu")

    async def live() -> None:
        assert await spawner.poll() == 0
        ip, port = await spawner.start()
        assert (ip, port > 0) == ("127.0.0.1", True)
        assert await spawner.poll() is None
        (one,) = ProcessRuntime(tmp_path / "sessions", "main").observe()
        assert one.lease_id == UUID(spawner.lease_id)
        assert (one.account, one.flavor, one.server_name) == ("ada", "quarter-gpu", "")
        await spawner.stop()
        assert await spawner.poll() == 143
        await spawner.stop()

    asyncio.run(live())


@pytest.mark.parametrize("saved", ["after the start", "before the start"])
def test_p23_a_restarted_hub_finds_the_session(
    processes: Spawning, tmp_path: Path, saved: str
) -> None:
    spawner = processes.spawner(state_dir=str(tmp_path), cmd=SLEEPS)

    async def live() -> None:
        early = spawner.get_state()
        _, port = await spawner.start()
        state = spawner.get_state() if saved == "after the start" else early
        again = processes.restarted(spawner, state, state_dir=str(tmp_path))
        processes.serve_at(again, "", 0)
        assert await again.poll() is None
        assert await again.get_url() == f"http://127.0.0.1:{port}/user/ada/"
        assert again.lease_id == spawner.lease_id
        await again.stop()
        assert await spawner.poll() == 143

    asyncio.run(live())


def test_p46_a_session_gets_no_secret_of_the_hub(
    processes: Spawning, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPULAB_SECRETS_DIR", "canary")
    monkeypatch.setenv("JUPYTERHUB_CRYPT_KEY", "canary")
    spawner = processes.spawner(
        state_dir=str(tmp_path), cmd=["sh", "-c", "env; pwd; echo done; exec sleep 600"]
    )
    asyncio.run(spawner.start())
    log = spawner.folder / "session.log"
    eventually(lambda: log.read_text().endswith("done\n"))
    assert "canary" not in log.read_text()
    assert f"JUPYTERHUB_ROOT_DIR={tmp_path}/homes/ada\n" in log.read_text()
    assert log.read_text().splitlines()[-2] == f"{tmp_path}/homes/ada"
    for private in (log, tmp_path / "homes" / "ada", spawner.folder):
        assert stat.S_IMODE(private.stat().st_mode) & 0o077 == 0
    asyncio.run(spawner.stop(now=True))


def test_a_session_that_ignores_sigterm_is_made_to_end(
    processes: Spawning, tmp_path: Path
) -> None:
    script = "trap '' TERM; echo ready; while true; do sleep 600; done"
    spawner = processes.spawner(
        state_dir=str(tmp_path), cmd=["sh", "-c", script], stop_grace_s=0.2
    )

    async def live() -> None:
        await spawner.start()
        while not (spawner.folder / "session.log").read_text():  # noqa: ASYNC110 - a file
            await asyncio.sleep(0.02)
        await spawner.stop()
        assert await spawner.poll() == 137

    asyncio.run(live())


def test_a_cancelled_start_leaves_nothing_running(processes: Spawning, tmp_path: Path) -> None:
    async def live(after_s: float) -> None:
        spawner = processes.spawner(state_dir=str(tmp_path), cmd=SLEEPS)
        starting = asyncio.create_task(spawner.start())
        await asyncio.sleep(after_s)
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starting
            await spawner.stop(now=True)

    for after_s in (0.0, 0.01, 0.03, 0.05):
        asyncio.run(live(after_s))
    runtime = ProcessRuntime(tmp_path / "sessions", "main")
    eventually(lambda: not any(one.is_running for one in runtime.observe()))


def test_a_start_that_fails_is_refused_in_plain_words(processes: Spawning, tmp_path: Path) -> None:
    spawner = processes.spawner(state_dir=str(tmp_path), cmd=["/no/such/program"])
    with pytest.raises(Refused, match="could not start on this machine: /no/such/program: No"):
        asyncio.run(spawner.start())
    again = processes.spawner(state_dir=str(tmp_path), cmd=SLEEPS, lease_id=spawner.lease_id)
    with pytest.raises(Refused, match="could not start"):
        asyncio.run(again.start())


@pytest.mark.parametrize("lease_id", ["../../etc", "a/b", "x"])
def test_p41_only_a_uuid_becomes_a_name(
    processes: Spawning, tmp_path: Path, lease_id: str
) -> None:
    spawner = processes.spawner(state_dir=str(tmp_path), cmd=SLEEPS, lease_id=lease_id)
    with pytest.raises(ValueError, match="UUID"):
        asyncio.run(spawner.start())
    assert list(tmp_path.iterdir()) == []


def test_p20_a_record_that_cannot_be_read_ends_nothing(
    processes: Spawning, tmp_path: Path
) -> None:
    spawner = processes.spawner(state_dir=str(tmp_path), cmd=SLEEPS)

    async def live() -> None:
        await spawner.start()
        assert await spawner.poll() is None
        record = spawner.folder / "start.json"
        text = record.read_text()
        record.write_text(text[:10])
        assert await spawner.poll() is None
        record.write_text(text)
        await spawner.stop(now=True)

    asyncio.run(live())


# -- containers -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with throwaway_engine() as engine:
        yield engine


@pytest.fixture(scope="module")
def network(engine: Engine) -> Iterator[str]:
    with throwaway_network(engine) as name:
        yield name


class Containers:
    """Spawners of containers of one test hub."""

    def __init__(self, hub: Spawning, engine: Engine, network: str) -> None:
        self.hub = hub
        self.engine = engine
        self.traits = {"hub_id": engine.hub_id, "network_name": network, "cmd": SLEEPS,
                       "docker_image": BASE_IMAGE, "pull_policy": "never",
                       "ram_mib": 256, "cpus": 0.5}  # fmt: skip

    def spawner(self, account: str = "ada", **traits: Any) -> Any:
        return self.hub.spawner(account, **{**self.traits, **traits})

    def started(self, account: str = "ada", **traits: Any) -> Any:
        spawner = self.spawner(account, **traits)
        asyncio.run(spawner.start())
        return spawner

    def inspect(self, spawner: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.engine.client.inspect_container(spawner.object_name)
        return found

    def inside(self, spawner: Any, *words: str) -> str:
        made = self.engine.client.exec_create(spawner.object_name, list(words))
        output: bytes = self.engine.client.exec_start(made["Id"])
        return output.decode()


@pytest.fixture
def containers(engine: Engine, network: str) -> Iterator[Containers]:
    with hub_of(LabDockerSpawner) as hub:
        yield Containers(hub, engine, network)
    for one in engine.client.containers(
        all=True, filters={"label": f"gpulab.hub={engine.hub_id}"}
    ):
        engine.client.remove_container(one["Id"], v=True, force=True)
    if LabDockerSpawner._client is not None:
        LabDockerSpawner._client.close()
        LabDockerSpawner._client = None


@pytest.mark.docker
def test_a_container_carries_its_lease_and_stays_after_its_end(containers: Containers) -> None:
    spawner = containers.spawner("{prefix}", flavor_name="half-gpu")
    assert not spawner.will_resume

    async def live() -> None:
        assert await spawner.poll() == 0
        ip, port = await spawner.start()
        assert port == 8888
        assert ip in json.dumps(containers.inspect(spawner)["NetworkSettings"]["Networks"])
        assert await spawner.poll() is None
        assert spawner.object_name == f"gpulab-{spawner.lease_id}"
        runtime = DockerRuntime(containers.engine.hub_id, SystemClock())
        (one,) = runtime.observe()
        assert one.lease_id == UUID(spawner.lease_id)
        assert (one.account, one.flavor, one.server_name) == ("{prefix}", "half-gpu", "")
        await spawner.stop()
        assert await spawner.poll() is not None
        (ended,) = runtime.observe()
        assert ended.finished_at is not None
        runtime.close()

    asyncio.run(live())


@pytest.mark.docker
def test_p37_a_container_is_boxed_in(containers: Containers) -> None:
    spawner = containers.started()
    status = dict(line.split(":\t") for line in
                  containers.inside(spawner, "cat", "/proc/1/status").splitlines()
                  if ":\t" in line)  # fmt: skip
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert status["Uid"].split() == ["1000"] * 4
    assert containers.inside(spawner, "ls", "/var/run/docker.sock").startswith("ls: cannot")
    found = containers.inspect(spawner)
    host = found["HostConfig"]
    assert (host["Memory"], host["MemorySwap"]) == (256 * 2**20, 256 * 2**20)
    assert (host["ShmSize"], host["PidsLimit"], host["Init"]) == (64 * 2**20, 4096, True)
    assert (host["CpuQuota"], host["CpuPeriod"]) == (50_000, 100_000)
    assert (host["Privileged"], host["PidMode"], host["UTSMode"]) == (False, "", "")
    assert (host["IpcMode"], host["UsernsMode"], host["AutoRemove"]) == ("private", "", False)
    assert host["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}
    assert host["RestartPolicy"]["Name"] == "no"
    files = min(65_536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    assert {one["Name"]: one["Hard"] for one in host["Ulimits"]} == {"nofile": files, "core": 0}
    (mount,) = found["Mounts"]
    assert (mount["Type"], mount["Destination"]) == ("volume", "/home/scholar")
    found_suid = containers.inside(spawner, "find", "/", "-xdev", "-perm", "/6000", "-type", "f")
    assert "/usr" not in found_suid
    assert "/bin" not in found_suid


@pytest.mark.docker
def test_a_network_of_its_own_with_the_uplinks_frames(containers: Containers) -> None:
    spawner = containers.started()
    assert list(containers.inspect(spawner)["NetworkSettings"]["Networks"]) == [
        spawner.network_name
    ]


@pytest.mark.docker
def test_p42_options_that_people_send_reach_no_container(containers: Containers) -> None:
    spawner = containers.spawner()
    spawner.user_options = {
        "image": "evil/image:latest", "environment": {"NVIDIA_VISIBLE_DEVICES": "all"},
        "extra_host_config": {"privileged": True}, "volumes": {"/": "/host"},
        "device_requests": [{"Count": -1}], "cmd": ["id"],
    }  # fmt: skip
    asyncio.run(spawner.start())
    found = containers.inspect(spawner)
    assert found["Config"]["Image"] == BASE_IMAGE
    assert found["Config"]["Cmd"] == SLEEPS
    assert not found["HostConfig"]["Privileged"]
    assert not found["HostConfig"]["DeviceRequests"]
    assert len(found["Mounts"]) == 1
    assert "NVIDIA_VISIBLE_DEVICES=void" in found["Config"]["Env"]


@pytest.mark.docker
@pytest.mark.parametrize("gpu", [{}, {"gpu_uuid": GPU, "gpu_is_virtual": True}])
def test_p38_no_device_without_a_real_gpu(containers: Containers, gpu: dict[str, Any]) -> None:
    config = {"environment": {"NVIDIA_VISIBLE_DEVICES": "all"}}
    spawner = containers.started(**gpu, **config)
    assert containers.inside(spawner, "printenv", "NVIDIA_VISIBLE_DEVICES") == "void\n"
    assert not containers.inspect(spawner)["HostConfig"]["DeviceRequests"]
    assert "nvidia" not in containers.inside(spawner, "ls", "/dev")


@pytest.mark.docker
def test_p38_exactly_the_granted_gpu_is_asked_for(containers: Containers) -> None:
    spawner = containers.spawner(gpu_uuid=GPU)
    spawner.extra_host_config = {"device_requests": [{"Count": -1, "Capabilities": [["gpu"]]}]}
    # Started where there is such a GPU; here the engine says in its words that there is none.
    with contextlib.suppress(Refused):
        asyncio.run(spawner.start())
    found = containers.inspect(spawner)
    (request,) = found["HostConfig"]["DeviceRequests"]
    assert (request["DeviceIDs"], request["Count"]) == ([GPU], 0)
    assert f"NVIDIA_VISIBLE_DEVICES={GPU}" in found["Config"]["Env"]


@pytest.mark.docker
def test_a_gpu_that_the_engine_cannot_give_is_refused_in_plain_words(
    containers: Containers,
) -> None:
    spawner = containers.spawner(gpu_uuid=GPU)
    with pytest.raises(Refused, match=r"The container could not start: .*(device|nvidia|CDI)"):
        asyncio.run(spawner.start())
    runtime = DockerRuntime(containers.engine.hub_id, SystemClock())
    (one,) = runtime.observe()
    assert one.started_at is None, "nothing ran, so nothing is charged"
    runtime.close()


@pytest.mark.docker
def test_an_image_that_is_not_here_is_refused_in_plain_words(containers: Containers) -> None:
    spawner = containers.spawner(docker_image="gpulab/not-built:latest")
    with pytest.raises(Refused, match="gpulab/not-built:latest is not on this machine"):
        asyncio.run(spawner.start())


@pytest.mark.docker
def test_work_survives_into_the_next_container(containers: Containers) -> None:
    first = containers.started()
    containers.inside(first, "sh", "-c", "echo kept > /home/scholar/work.txt")
    asyncio.run(first.stop())
    second = containers.started()
    assert second.object_name != first.object_name
    assert containers.inside(second, "cat", "/home/scholar/work.txt") == "kept\n"
    other = containers.started("blaise")
    assert "No such file" in containers.inside(other, "cat", "/home/scholar/work.txt")


@pytest.mark.docker
def test_p23_a_restarted_hub_finds_a_container_by_its_lease(containers: Containers) -> None:
    spawner = containers.spawner()
    early = spawner.get_state()

    async def live() -> None:
        ip, port = await spawner.start()
        again = containers.hub.restarted(spawner, early, **containers.traits)
        containers.hub.serve_at(again, "", 0)
        assert await again.poll() is None
        assert again.object_id == spawner.object_id
        assert await again.get_url() == f"http://{ip}:{port}/user/ada/"
        await again.stop()
        assert await spawner.poll() is not None

    asyncio.run(live())


@pytest.mark.docker
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the client leaks failed connections
def test_p20_an_engine_in_trouble_ends_nothing(
    containers: Containers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spawner = containers.started()
    assert asyncio.run(spawner.poll()) is None
    reply = b"HTTP/1.1 500 Oh no\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    with sick_engine(tmp_path, reply) as url:
        sick = docker.APIClient(base_url=url, version="1.41", timeout=1)
        monkeypatch.setattr(LabDockerSpawner, "_client", sick)
        assert asyncio.run(spawner.poll()) is None
        sick.close()
    monkeypatch.undo()
    assert spawner.object_id
    assert asyncio.run(spawner.poll()) is None
    gc.collect()


@pytest.mark.docker
def test_a_cancelled_start_of_a_container_leaves_nothing_running(containers: Containers) -> None:
    async def live(after_s: float) -> None:
        spawner = containers.spawner()
        starting = asyncio.create_task(spawner.start())
        await asyncio.sleep(after_s)
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starting
            await spawner.stop()
        if spawner._undoing is not None:
            await spawner._undoing

    for after_s in (0.0, 0.05, 0.2, 0.4):
        asyncio.run(live(after_s))
    runtime = DockerRuntime(containers.engine.hub_id, SystemClock())
    eventually(lambda: not any(one.is_running for one in runtime.observe()))
    runtime.close()
