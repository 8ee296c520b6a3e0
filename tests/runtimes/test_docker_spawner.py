"""Sessions as containers at a real engine: how they start, are found again, and end."""

import asyncio
import contextlib
import gc
import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import docker
import pytest

from api.runtimes.docker import DockerRuntime
from hub.refusals import Refused
from hub.spawners import LabDockerSpawner
from quota.clock import SystemClock
from tests.containers import GPU, Containers
from tests.engine import sick_engine
from tests.runtimes.sessions import eventually


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
def test_a_network_of_its_own_with_the_uplinks_frames(containers: Containers) -> None:
    spawner = containers.started()
    assert list(containers.inspect(spawner)["NetworkSettings"]["Networks"]) == [
        spawner.network_name
    ]


@pytest.mark.docker
def test_a_gpu_that_the_engine_cannot_give_is_refused_in_plain_words(
    containers: Containers,
) -> None:
    spawner = containers.spawner(gpu_uuid=GPU)
    with pytest.raises(Refused, match="NVIDIA container toolkit is missing"):
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


@pytest.mark.docker
def test_p43_a_storage_without_quotas_is_told_once_and_starts_all_the_same(
    containers: Containers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(LabDockerSpawner, "_told_of_homes", False)
    monkeypatch.setattr(LabDockerSpawner, "_keeps_quotas", False)
    caplog.set_level("WARNING")
    log = logging.getLogger("tests.homes")
    # People without a home so far: one that is there stays as it is.
    for account in ("euler", "gauss"):
        assert asyncio.run(containers.started(account, home_gib=1, log=log).poll()) is None
    told = [one for one in caplog.messages if "homes have no end here" in one]
    if LabDockerSpawner._keeps_quotas:
        assert told == [], "a storage that keeps them"
        return
    assert len(told) == 1
    # As after a home that has an end, on an engine that bounds volumes and nothing else.
    monkeypatch.setattr(LabDockerSpawner, "_keeps_quotas", True)
    assert asyncio.run(containers.started("chen").poll()) is None
    assert not LabDockerSpawner._keeps_quotas


def test_a_container_that_ends_before_it_has_an_address_is_said_to_have_ended(
    containers: Containers,
) -> None:
    spawner = containers.spawner(cmd=["false"], cpus=1.0)
    start = spawner.start_object

    async def started_and_over() -> None:
        await start()
        await spawner.docker("wait", spawner.container_id)

    spawner.start_object = started_and_over
    with pytest.raises(Refused, match="ended while it was starting") as error:
        asyncio.run(spawner.start())
    assert error.value.status_code == 503


@pytest.mark.docker
def test_a_container_of_an_emergency_says_where_it_is_and_until_when(
    containers: Containers,
) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    # A virtual GPU, since this machine may have none to give.
    spawner = containers.spawner(gpu_uuid="GPU-1", gpu_is_virtual=True,
                                 emergency_until=until.isoformat())  # fmt: skip
    runtime = DockerRuntime(containers.engine.hub_id, SystemClock())

    async def live() -> None:
        lease_id = spawner.lease_id
        assert await spawner.trace(lease_id, "") == "nowhere"
        await spawner.start()
        assert await spawner.trace(lease_id, "") == "running"
        (one,) = runtime.started_without_books()
        assert (one.gpu_uuid, one.emergency_until) == ("GPU-1", until)
        await spawner.stop()
        assert await spawner.trace("any", one.ref) == "ended"
        assert runtime.started_without_books() == []

    try:
        asyncio.run(live())
    finally:
        runtime.close()
