"""What the driver tells, over both stand-ins for its library."""

import pynvml
import pytest

from api.gpus.choose import choose_gpus
from api.gpus.declared import DeclaredGpus
from api.gpus.devices import GpuDevice, GpuLook, InventoryUnavailable
from quota.lab_gpus import DeclaredGpu
from tests.gpu.conftest import Driver
from tests.gpu.world import Card, Instance, Running

DECLARED = [DeclaredGpu(name="Virtual GPU", memory_mib=16384, count=2)]
T4, L4 = Card("Tesla T4", "GPU-a"), Card("NVIDIA L4", "GPU-b", 24576)
INSTANCES = [Instance("H100 MIG 1g.10gb", "MIG-1", 0), Instance("H100 MIG 1g.10gb", "MIG-3", 2)]


def test_whole_gpus_are_listed(driver: Driver) -> None:
    driver.world.cards = [T4, L4]
    assert driver.follow().devices() == (
        GpuDevice(uuid="GPU-a", name="Tesla T4", memory_mib=16384, kind="gpu"),
        GpuDevice(uuid="GPU-b", name="NVIDIA L4", memory_mib=24576, kind="gpu"),
    )


def test_a_gpu_in_mig_mode_is_its_instances(driver: Driver) -> None:
    driver.world.cards = [Card("H100", "GPU-h", 81920, instances=INSTANCES), L4]
    found = driver.follow().devices()
    assert [(one.uuid, one.kind, one.parent) for one in found] == [
        ("MIG-1", "mig", "GPU-h"), ("MIG-3", "mig", "GPU-h"), ("GPU-b", "gpu", "")]  # fmt: skip


def test_cards_that_know_nothing_of_mig_are_whole(driver: Driver) -> None:
    driver.world.cards = [T4]
    driver.world.fails = {"nvmlDeviceGetMigMode": int(pynvml.NVML_ERROR_NOT_SUPPORTED)}
    assert [one.kind for one in driver.follow().devices()] == ["gpu"]


def test_a_lost_gpu_is_left_out_and_the_others_go_on(driver: Driver) -> None:
    driver.world.cards = [Card("T4", "GPU-x", is_lost=True), L4]
    driver.world.processes = [Running(1, 7)]
    gpus = driver.follow()
    assert [one.uuid for one in gpus.devices()] == ["GPU-b"]
    assert gpus.look().told == {"GPU-b"}


@pytest.mark.parametrize("function", ["nvmlInitWithFlags", "nvmlDeviceGetCount_v2"])
def test_a_driver_that_fails_is_said(driver: Driver, function: str) -> None:
    driver.world.cards = [T4]
    driver.world.fails = {function: int(pynvml.NVML_ERROR_UNKNOWN)}
    gpus = driver.follow()
    for ask in (gpus.devices, gpus.look):
        with pytest.raises(InventoryUnavailable, match="NVIDIA driver"):
            ask()


def test_processes_come_with_memory_and_time_from_the_second_look_on(driver: Driver) -> None:
    driver.world.cards = [T4, L4]
    driver.world.processes = [Running(0, 11, 3000, sm=40), Running(0, 12, None), Running(1, 13)]
    gpus = driver.follow()
    first, second = gpus.look(), gpus.look()
    assert first.told == second.told == {"GPU-a", "GPU-b"}
    assert {one.sm_percent for one in first.processes} == {None}, "that would be the past"
    assert [(one.gpu_uuid, one.pid, one.memory_mib, one.sm_percent)
            for one in second.processes] == [
        ("GPU-a", 11, 3000, 40.0), ("GPU-a", 12, None, 0.0), ("GPU-b", 13, 1000, 0.0)]  # fmt: skip


def test_nothing_busy_is_nothing_and_no_error(driver: Driver) -> None:
    driver.world.cards = [T4]
    gpus = driver.follow()
    gpus.look()
    look = gpus.look()
    assert (look.processes, look.told) == ((), frozenset({"GPU-a"}))


def test_more_than_all_of_the_time_is_nonsense_and_counts_nothing(driver: Driver) -> None:
    driver.world.cards = [T4]
    driver.world.processes = [Running(0, 11, sm=4_000_000)]
    gpus = driver.follow()
    gpus.look()
    assert [one.sm_percent for one in gpus.look().processes] == [0.0]


def test_instances_tell_whose_processes_but_not_how_busy(driver: Driver) -> None:
    driver.world.cards = [Card("H100", "GPU-h", 81920, instances=INSTANCES)]
    driver.world.processes = [Running(0, 11, 500, sm=0, instance=2)]
    gpus = driver.follow()
    gpus.look()
    look = gpus.look()
    assert look.told == {"MIG-1", "MIG-3"}
    assert [(one.gpu_uuid, one.pid, one.sm_percent) for one in look.processes] == [
        ("MIG-3", 11, None)]  # fmt: skip


def test_behind_mps_nobody_can_tell(driver: Driver) -> None:
    driver.world.cards = [T4, L4]
    driver.world.mps = [(0, 99)]
    assert driver.follow().look().told == {"GPU-b"}


def test_a_gpu_that_does_not_tell_is_not_told(driver: Driver) -> None:
    driver.world.cards = [T4]
    driver.world.fails = {"nvmlDeviceGetComputeRunningProcesses_v3":
                          int(pynvml.NVML_ERROR_NO_PERMISSION)}  # fmt: skip
    look = driver.follow().look()
    assert (look.processes, look.told) == ((), frozenset())


def test_a_card_that_measures_no_processes_says_nothing_of_them(driver: Driver) -> None:
    driver.world.cards = [T4]
    driver.world.fails = {"nvmlDeviceGetProcessUtilization":
                          int(pynvml.NVML_ERROR_NOT_SUPPORTED)}  # fmt: skip
    driver.world.processes = [Running(0, 11)]
    gpus = driver.follow()
    gpus.look()
    assert [one.sm_percent for one in gpus.look().processes] == [None], "a card that cannot"


def test_real_gpus_come_before_declared_ones(driver: Driver) -> None:
    driver.world.cards = [T4]
    driver.change()
    gpus, why = choose_gpus("auto", DECLARED)
    assert [one.uuid for one in gpus.devices()] == ["GPU-a"]
    assert why == "NVML found them"
    gpus, _ = choose_gpus("declared", DECLARED)
    assert {one.kind for one in gpus.devices()} == {"virtual"}


def test_without_a_gpu_auto_takes_the_declared_and_nvml_refuses(driver: Driver) -> None:
    driver.change()
    gpus, why = choose_gpus("auto", DECLARED)
    assert [one.uuid for one in gpus.devices()] == ["VIRTUAL-0", "VIRTUAL-1"]
    assert "shows no GPU" in why
    with pytest.raises(InventoryUnavailable, match="shows no GPU"):
        choose_gpus("nvml", DECLARED)
    driver.world.fails = {"nvmlInitWithFlags": int(pynvml.NVML_ERROR_DRIVER_NOT_LOADED)}
    driver.change()
    assert "does not answer" in choose_gpus("auto", DECLARED)[1]
    with pytest.raises(InventoryUnavailable, match="does not answer"):
        choose_gpus("nvml", DECLARED)


def test_of_declared_gpus_nobody_knows_what_runs_there() -> None:
    assert DeclaredGpus(DECLARED).look() == GpuLook()
