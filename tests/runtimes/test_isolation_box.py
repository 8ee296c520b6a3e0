"""P37, P38, P42: what a session's container is held to, and whose choice its image and GPU are."""

import asyncio
import contextlib
import resource
from collections.abc import Iterator
from typing import Any

import pytest

from hub import docker_box
from hub.refusals import Refused
from hub.spawners import LabDockerSpawner
from tests.containers import GPU, SLEEPS, Containers, inside
from tests.engine import BASE_IMAGE, Engine

pytestmark = pytest.mark.docker


def status_of(engine: Engine, container: str) -> dict[str, str]:
    """Return what the kernel says of a container's first process."""
    lines = inside(engine, container, "cat", "/proc/1/status").splitlines()
    return dict(line.split(":\t") for line in lines if ":\t" in line)


def test_p37_a_container_is_boxed_in(containers: Containers) -> None:
    spawner = containers.started()
    status = status_of(containers.engine, spawner.object_name)
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


def test_p37_the_same_look_finds_a_container_that_is_not_boxed_in(
    containers: Containers, network: str
) -> None:
    client = containers.engine.client
    made = client.create_container(
        BASE_IMAGE, SLEEPS, user="0", labels={"gpulab.hub": containers.engine.hub_id},
        host_config=client.create_host_config(network_mode=network),
    )  # fmt: skip
    client.start(made["Id"])
    status = status_of(containers.engine, made["Id"])
    assert int(status["CapEff"], 16) != 0
    assert (status["NoNewPrivs"], status["Uid"].split()[0]) == ("0", "0")


def test_p37_a_read_only_image_can_be_written_at_home_and_in_scratch_alone(
    containers: Containers,
) -> None:
    tried = "touch /home/scholar/x /tmp/x /var/tmp/x /dev/shm/x; touch /srv/x"
    spawner = containers.started(root_is_read_only=True)
    assert containers.inspect(spawner)["HostConfig"]["ReadonlyRootfs"]
    (said,) = containers.inside(spawner, "sh", "-c", tried).splitlines()
    assert "/srv/x" in said
    assert "Read-only file system" in said
    usual = containers.started("blaise")
    assert "Read-only" not in containers.inside(usual, "sh", "-c", tried)


@pytest.mark.parametrize("gpu", [{}, {"gpu_uuid": GPU, "gpu_is_virtual": True}])
def test_p38_no_device_without_a_real_gpu(containers: Containers, gpu: dict[str, Any]) -> None:
    spawner = containers.started(**gpu, environment={"NVIDIA_VISIBLE_DEVICES": "all"})
    assert containers.inside(spawner, "printenv", "NVIDIA_VISIBLE_DEVICES") == "void\n"
    assert not containers.inspect(spawner)["HostConfig"]["DeviceRequests"]
    assert "nvidia" not in containers.inside(spawner, "ls", "/dev")


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


def test_p42_options_that_people_send_reach_no_container(containers: Containers) -> None:
    spawner = containers.spawner()
    spawner.user_options = {
        "image": "evil/image:latest", "environment": {"NVIDIA_VISIBLE_DEVICES": "all"},
        "extra_host_config": {"privileged": True}, "volumes": {"/": "/host"},
        "device_requests": [{"Count": -1}], "cmd": ["id"],
    }  # fmt: skip
    asyncio.run(spawner.start())
    found = containers.inspect(spawner)
    assert found["Image"] == containers.engine.client.inspect_image(BASE_IMAGE)["Id"]
    assert found["Config"]["Cmd"] == SLEEPS
    assert not found["HostConfig"]["Privileged"]
    assert not found["HostConfig"]["DeviceRequests"]
    assert len(found["Mounts"]) == 1
    assert "NVIDIA_VISIBLE_DEVICES=void" in found["Config"]["Env"]


def test_p38_by_cdi_the_device_is_named_and_the_runtimes_own_way_is_shut() -> None:
    (request,) = docker_box.gpu_request(GPU, "cdi")
    assert (request["Driver"], request["DeviceIDs"]) == ("cdi", [f"nvidia.com/gpu={GPU}"])
    assert not request["Capabilities"]
    assert docker_box.gpu_variables(GPU, "cdi")["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert docker_box.gpu_request("", "cdi") == docker_box.gpu_request("", "uuid") == []


def test_p38_an_image_does_not_choose_its_gpus(containers: Containers) -> None:
    with other_image(containers, "NVIDIA_VISIBLE_DEVICES=all") as (reference, _):
        plain = containers.engine.client.inspect_image(reference)["Config"]["Env"]
        assert "NVIDIA_VISIBLE_DEVICES=all" in plain
        spawner = containers.started(docker_image=reference)
        assert containers.inside(spawner, "printenv", "NVIDIA_VISIBLE_DEVICES") == "void\n"


@contextlib.contextmanager
def other_image(containers: Containers, variable: str) -> Iterator[tuple[str, str]]:
    """Make an image like the base one with another variable; yields its name and id."""
    client = containers.engine.client
    repository = f"gpulab-test/{containers.engine.hub_id}"
    made = client.create_container(BASE_IMAGE, ["true"],
                                   labels={"gpulab.hub": containers.engine.hub_id})  # fmt: skip
    image = client.commit(made["Id"], repository, "other", changes=[f"ENV {variable}"])["Id"]
    try:
        yield f"{repository}:other", image
    finally:
        containers.remove()
        client.remove_image(f"{repository}:other", force=True)


def test_p42_a_tag_that_is_moved_changes_nothing_until_the_lab_starts_again(
    containers: Containers,
) -> None:
    client = containers.engine.client
    approved = client.inspect_image(BASE_IMAGE)["Id"]
    with other_image(containers, "SWAPPED=1") as (reference, swapped):
        tag = reference.replace(":other", ":lab")
        name, _, version = tag.partition(":")
        client.tag(approved, name, version)
        try:
            first = containers.started(docker_image=tag)
            client.tag(swapped, name, version, force=True)
            second = containers.started("blaise", docker_image=tag)
            running = {containers.inspect(one)["Image"] for one in (first, second)}
            assert running == {approved}
            LabDockerSpawner._pins.clear()  # as a new start of the lab does
            third = containers.started("chen", docker_image=tag)
            assert containers.inspect(third)["Image"] == swapped
        finally:
            containers.remove()
            client.remove_image(tag, force=True)


def test_p42_an_image_that_has_gone_is_not_replaced(containers: Containers) -> None:
    spawner = containers.spawner()
    LabDockerSpawner._pins[BASE_IMAGE] = "sha256:" + "0" * 64
    with pytest.raises(Refused, match=f"{BASE_IMAGE} is not on this machine"):
        asyncio.run(spawner.start())


def test_p41_a_volume_named_by_what_people_choose_is_refused(containers: Containers) -> None:
    spawner = containers.spawner("../../etc")
    assert spawner.home_volume.startswith(f"gpulab.{containers.engine.hub_id}.-2e-2e-2f")
    spawner.volumes = {"/srv/homes/{raw_username}": "/home/scholar"}
    with pytest.raises(Refused, match="raw_username"):
        asyncio.run(spawner.start())
    assert containers.engine.client.containers(
        all=True, filters={"label": f"gpulab.hub={containers.engine.hub_id}"}
    ) == []  # fmt: skip
