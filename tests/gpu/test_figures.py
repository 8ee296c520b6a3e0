"""What the driver measures of GPUs reaches Prometheus, and what is missing is said."""

import re
from pathlib import Path

import pynvml
import pytest
from prometheus_client import generate_latest

from api.gpus.devices import GpuLook, InventoryUnavailable
from api.gpus.figures import FIGURES
from api.worker_metrics import WorkerMetrics
from tests.compose.tools import run, tool
from tests.gpu.conftest import Driver
from tests.gpu.world import Card, Instance, Running


def shown(look: GpuLook) -> str:
    metrics = WorkerMetrics()
    metrics.note_gpus(look)
    return generate_latest(metrics.registry).decode()


def told(text: str, name: str) -> dict[str, float]:
    found = re.findall(rf'^{name}\{{\w+="(.*?)"\}} (\S+)$', text, re.MULTILINE)
    return {label: float(value) for label, value in found}


def test_each_figure_of_a_gpu_is_told(driver_in_c: Driver, tmp_path: Path) -> None:
    driver_in_c.world.cards = [
        Card("T4", "GPU-a", celsius=61, milliwatts=70_500),
        Card("L4", "GPU-b", 24576, celsius=40, milliwatts=12_000),
    ]
    driver_in_c.world.processes = [Running(0, 7, 3000, sm=40), Running(0, 8, 1000, sm=35)]
    # As on cards without such a memory.
    driver_in_c.world.fails = {"nvmlDeviceGetTotalEccErrors": int(pynvml.NVML_ERROR_NOT_SUPPORTED)}
    text = shown(driver_in_c.follow().look())
    assert told(text, "gpulab_gpu_utilization_ratio") == {"GPU-a": 0.75, "GPU-b": 0}
    assert told(text, "gpulab_gpu_memory_used_bytes")["GPU-a"] == 4000 << 20
    assert told(text, "gpulab_gpu_memory_bytes")["GPU-b"] == 24576 << 20
    assert told(text, "gpulab_gpu_temperature_celsius") == {"GPU-a": 61, "GPU-b": 40}
    assert told(text, "gpulab_gpu_power_watts") == {"GPU-a": 70.5, "GPU-b": 12}
    missing = told(text, "gpulab_gpu_figures_missing")
    assert missing == dict.fromkeys(FIGURES, 0) | {"uncorrected_errors": 2}
    path = tmp_path / "metrics.txt"
    path.write_text(text)
    done = run("sh", "-c", f'"$0" check metrics <"{path}"', tool("promtool"))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_figure_that_fails_hides_no_other(driver_in_c: Driver) -> None:
    driver_in_c.world.cards = [Card("T4", "GPU-a", celsius=61, milliwatts=70_500)]
    driver_in_c.world.fails = {"nvmlDeviceGetTemperature": int(pynvml.NVML_ERROR_UNKNOWN)}
    text = shown(driver_in_c.follow().look())
    assert told(text, "gpulab_gpu_temperature_celsius") == {}
    assert told(text, "gpulab_gpu_power_watts") == {"GPU-a": 70.5}
    assert told(text, "gpulab_gpu_figures_missing")["temperature_celsius"] == 1
    assert "gpulab_gpu_driver_up 1.0" in text


def test_a_mig_instance_tells_its_memory_and_says_what_it_does_not(driver: Driver) -> None:
    instance = Instance("H100 MIG 1g.10gb", "MIG-1", 0)
    driver.world.cards = [Card("H100", "GPU-h", 81920, instances=[instance])]
    text = shown(driver.follow().look())
    assert told(text, "gpulab_gpu_memory_bytes") == {"MIG-1": 10 << 30}
    assert told(text, "gpulab_gpu_figures_missing")["utilization_ratio"] == 1


def test_a_driver_that_dies_leaves_nothing_stale(driver: Driver) -> None:
    metrics = WorkerMetrics()
    driver.world.cards = [Card("T4", "GPU-a")]
    gpus = driver.follow()
    metrics.note_gpus(gpus.look())
    assert b'gpulab_gpu_memory_bytes{gpu="GPU-a"}' in generate_latest(metrics.registry)
    # It dies between one question and the next.
    driver.world.fails = {"nvmlDeviceGetUUID": int(pynvml.NVML_ERROR_UNKNOWN)}
    driver.change()
    with pytest.raises(InventoryUnavailable):
        gpus.look()
    metrics.note_gpus(GpuLook(is_answered=False))
    text = generate_latest(metrics.registry).decode()
    assert 'gpulab_gpu_memory_bytes{gpu="GPU-a"}' not in text
    assert "gpulab_gpu_driver_up 0.0" in text


def test_a_lost_gpu_disappears_and_the_others_stay(driver: Driver) -> None:
    driver.world.cards = [Card("T4", "GPU-a", is_lost=True), Card("T4", "GPU-b")]
    text = shown(driver.follow().look())
    assert list(told(text, "gpulab_gpu_memory_bytes")) == ["GPU-b"]
