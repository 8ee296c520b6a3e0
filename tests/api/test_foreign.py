"""Containers with a GPU that are not the lab's: what counts as one, and what is done about it."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from structlog.testing import capture_logs

from api.foreign import PART, ForeignWatch, is_foreign
from api.runtimes.docker import DockerRuntime
from api.runtimes.protocol import RuntimeUnavailable, StillRunning
from quota.clock import SystemClock
from tests.engine import BASE_IMAGE, Engine, throwaway_engine

NVIDIA = [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/nvidia0"}]


def inspected(labels: dict[str, str] | None = None, env: tuple[str, ...] = (),
              **host: Any) -> dict[str, Any]:  # fmt: skip
    config = {"Labels": labels, "Env": list(env), "Image": "cuda:13"}
    asked_for = {"DeviceRequests": None, "Devices": None, "Runtime": "runc", **host}
    return {"Name": "/miner", "Config": config, "HostConfig": asked_for}


def asked(**request: Any) -> list[dict[str, Any]]:
    return [{"Driver": "", "Capabilities": None, **request}]


@pytest.mark.parametrize(
    "found",
    [
        inspected(DeviceRequests=asked(Capabilities=[["gpu"]])),
        inspected(DeviceRequests=asked(Capabilities=[["compute", "gpu"]])),
        inspected(DeviceRequests=asked(Driver="cdi", DeviceIDs=["nvidia.com/gpu=0"])),
        inspected(Devices=NVIDIA),
        inspected({"gpulab.hub": "another"}, Devices=NVIDIA),
        inspected(Runtime="nvidia", env=("A=b", "NVIDIA_VISIBLE_DEVICES=all")),
    ],
)
def test_p26_a_container_with_a_gpu_is_foreign(found: dict[str, Any]) -> None:
    assert is_foreign(found)


@pytest.mark.parametrize(
    "found",
    [
        inspected(),
        inspected(DeviceRequests=[], Devices=[]),
        inspected(Devices=[{"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fuse"}]),
        inspected(Runtime="nvidia", env=("NVIDIA_VISIBLE_DEVICES=void",)),
        inspected(Runtime="nvidia"),
        inspected({PART: "worker"}, DeviceRequests=asked(Capabilities=[["gpu"]])),
    ],
)
def test_p26_a_container_without_one_is_not(found: dict[str, Any]) -> None:
    assert not is_foreign(found)


@dataclass
class Neighbourhood:
    """An engine with other people's containers."""

    running: dict[str, dict[str, Any]]
    survives: tuple[str, ...] = ()
    is_away: bool = False
    calls: list[tuple[str, str]] = field(default_factory=list)

    def others(self) -> list[str]:
        if self.is_away:
            raise RuntimeUnavailable("away")
        return list(self.running)

    def inspect(self, ref: str) -> dict[str, Any] | None:
        self.calls.append(("inspect", ref))
        return self.running.get(ref)

    def stop(self, ref: str, grace_s: int) -> None:
        self._end("stop", ref)

    def kill(self, ref: str) -> None:
        self._end("kill", ref)

    def _end(self, how: str, ref: str) -> None:
        self.calls.append((how, ref))
        if how in self.survives:
            raise StillRunning(ref)
        del self.running[ref]


def _town(**more: Any) -> Neighbourhood:
    return Neighbourhood({"miner": inspected(Devices=NVIDIA), "shop": inspected()}, **more)


def test_p26_each_is_told_once_and_counted_as_long_as_it_runs() -> None:
    town = _town()
    watch = ForeignWatch(town, "alarm", grace_s=1)
    with capture_logs() as logs:
        assert [watch.look(), watch.look()] == [1, 1]
    (told,) = logs
    assert (told["event"], told["alarm"], told["name"]) == ("foreign_container", True, "miner")
    assert town.calls == [("inspect", "miner"), ("inspect", "shop")], "nothing is done about it"
    gone = town.running.pop("miner")
    assert watch.look() == 0
    town.running["miner"] = gone
    with capture_logs() as logs:
        assert watch.look() == 1
    assert len(logs) == 1, "it has come back"


def test_p26_where_the_operator_wants_it_they_are_stopped() -> None:
    town = _town(survives=("stop",))
    watch = ForeignWatch(town, "stop", grace_s=1)
    assert watch.look() == 1
    assert list(town.running) == ["shop"]
    assert town.calls[-2:] == [("stop", "miner"), ("kill", "miner")]


def test_p26_one_that_cannot_be_stopped_is_an_alarm_each_time() -> None:
    watch = ForeignWatch(_town(survives=("stop", "kill")), "stop", grace_s=1)
    with capture_logs() as logs:
        watch.look()
        watch.look()
    assert [one["event"] for one in logs].count("foreign_not_stopped") == 2


def test_p26_an_engine_that_is_silent_leads_to_no_conclusion() -> None:
    town = _town()
    watch = ForeignWatch(town, "alarm", grace_s=1)
    watch.look()
    town.is_away = True
    with pytest.raises(RuntimeUnavailable):
        watch.look()
    town.is_away = False
    with capture_logs() as logs:
        assert watch.look() == 1
    assert logs == [], "it is known already"


@pytest.mark.docker
def test_p26_the_engine_shows_a_container_with_a_device_and_no_lease() -> None:
    with throwaway_engine() as engine:
        labels = {"gpulab.hub": engine.hub_id}
        stranger = DockerRuntime("another-hub", SystemClock())
        owner = DockerRuntime(engine.hub_id, SystemClock())
        with_gpu, without = (_run(engine, labels, devices) for devices in (_STUB, []))
        others = stranger.others()
        assert {with_gpu, without} <= set(others)
        assert not {with_gpu, without} & set(owner.others()), "sessions of the hub itself"
        shown = {ref: stranger.inspect(ref) for ref in (with_gpu, without)}
        assert [is_foreign(found) for found in shown.values() if found] == [True, False]
        stranger.close()
        owner.close()


# The stand-in for a GPU: a device node of that name.
_STUB = ["/dev/null:/dev/nvidia0:rwm"]


def _run(engine: Engine, labels: dict[str, str], devices: list[str]) -> str:
    client = engine.client
    host = client.create_host_config(network_mode="none", devices=devices)
    made = client.create_container(
        BASE_IMAGE, command=["sleep", "600"], entrypoint=[], labels=labels, host_config=host,
        healthcheck={"test": ["NONE"]},
    )  # fmt: skip
    client.start(made["Id"])
    return str(made["Id"])
