"""Holding sessions to their GPU memory, over the stand-in in C, which has the driver's limits."""

from pathlib import Path
from uuid import uuid4

import pynvml
import pytest
from structlog.testing import capture_logs

from api.gpus.devices import GpuDevice
from api.gpus.memory import MemoryHolder
from api.gpus.processes import Process
from quota.session_states import RunningSession
from tests.gpu.conftest import Driver
from tests.gpu.world import Card, Instance

REF = "c3" * 32
GROUP = f"system.slice/docker-{REF}.scope"
GPU = GpuDevice(uuid="GPU-a", name="T4", memory_mib=16384, kind="gpu")
SESSION = RunningSession(lease_id=uuid4(), ref=REF, account="ada", server_name="",
                         flavor="quarter", gpu_uuid="GPU-a", memory_mib=4096)  # fmt: skip
# The container's first process and a later one in a group of its own below.
SEEN = {pid: Process(pid=pid, parent=1, start_ticks=pid, cpu_s=0) for pid in (21, 22)}
OWNERS = dict.fromkeys(SEEN, REF)


def machine(folder: Path, *, version: int = 2, environ: bytes = b"HOME=/home/scholar\0") -> Path:
    for pid, below in ((21, ""), (22, "/inner")):
        (folder / "proc" / str(pid)).mkdir(parents=True)
        (folder / "proc" / str(pid) / "cgroup").write_text(f"0::/{GROUP}{below}\n")
        (folder / "proc" / str(pid) / "environ").write_bytes(environ)
    (folder / "cgroup").mkdir()
    if version == 2:
        (folder / "cgroup" / "cgroup.controllers").write_text("cpu memory dmem\n")
    return folder


def holder(folder: Path) -> MemoryHolder:
    return MemoryHolder(pynvml, proc=folder / "proc", cgroups=folder / "cgroup")


def in_force(folder: Path) -> int | None:
    """Ask the library itself."""
    pynvml.nvmlInit()
    told = pynvml.c_nvmlGetMemoryLimits_v1_t()
    told.nameSpace = str(folder / "cgroup" / GROUP).encode()
    try:
        pynvml.nvmlDeviceGetMemoryLimits_v1(pynvml.nvmlDeviceGetHandleByUUID("GPU-a"), told)
    except pynvml.NVMLError_NotFound:
        return None
    finally:
        pynvml.nvmlShutdown()
    assert told.softLimit == 0, "it would reserve memory in the groups above"
    return int(told.hardLimit)


def test_a_session_is_held_to_its_memory(driver_in_c: Driver, tmp_path: Path) -> None:
    driver_in_c.world.cards = [Card("T4", "GPU-a")]
    driver_in_c.change()
    one = holder(machine(tmp_path))
    assert one.promise([GPU]) == {"GPU-a"}
    one.hold([SESSION], SEEN, OWNERS)
    assert in_force(tmp_path) == 4096 << 20


@pytest.mark.parametrize(
    ("fails", "version"),
    [
        ({}, 1),
        ({"nvmlDeviceGetMemoryLimits_v1": int(pynvml.NVML_ERROR_NOT_SUPPORTED)}, 2),
        ({"nvmlInitWithFlags": int(pynvml.NVML_ERROR_UNKNOWN)}, 2),
    ],
)
def test_nothing_is_promised_where_it_does_not_work(
    driver_in_c: Driver, tmp_path: Path, fails: dict[str, int], version: int
) -> None:
    driver_in_c.world.cards, driver_in_c.world.fails = [Card("T4", "GPU-a")], fails
    driver_in_c.change()
    one = holder(machine(tmp_path, version=version))
    assert one.promise([GPU]) == frozenset()
    one.hold([SESSION], SEEN, OWNERS)
    driver_in_c.world.fails = {}
    driver_in_c.change()
    assert in_force(tmp_path) is None


def test_an_older_driver_has_no_limits(driver: Driver, tmp_path: Path) -> None:
    """The stand-in in Python lacks the function, as drivers before 615 do."""
    driver.world.cards = [Card("T4", "GPU-a", instances=[Instance("x", "MIG-1", 0)])]
    driver.change()
    mig = GpuDevice(uuid="MIG-1", name="x", memory_mib=1, kind="mig", parent="GPU-a")
    assert holder(machine(tmp_path)).promise([mig]) == frozenset()
    if driver.state is None:
        driver.world.cards = [Card("T4", "GPU-a")]
        assert holder(tmp_path).promise([GPU]) == frozenset()


def test_never_both_the_limit_and_the_advice(driver_in_c: Driver, tmp_path: Path) -> None:
    driver_in_c.world.cards = [Card("T4", "GPU-a")]
    driver_in_c.change()
    told = b"A=1\0PYTORCH_ALLOC_CONF=per_process_memory_fraction:0.25\0"
    one = holder(machine(tmp_path, environ=told))
    one.promise([GPU])
    one.hold([SESSION], SEEN, OWNERS)
    assert in_force(tmp_path) is None


def test_a_limit_that_does_not_take_is_an_alarm_once_and_promised_no_more(
    driver_in_c: Driver, tmp_path: Path
) -> None:
    driver_in_c.world.cards = [Card("T4", "GPU-a")]
    driver_in_c.change()
    one = holder(machine(tmp_path))
    assert one.promise([GPU])
    driver_in_c.world.fails = {
        "nvmlDeviceSetMemoryLimits_v1": int(pynvml.NVML_ERROR_NO_PERMISSION)
    }
    driver_in_c.change()
    with capture_logs() as logs:
        one.hold([SESSION], SEEN, OWNERS)
        one.hold([SESSION], SEEN, OWNERS)
    assert [entry["event"] for entry in logs if entry.get("alarm")] == ["memory_not_held"]
    assert one.promise([GPU]) == frozenset()
