"""How a GPU is: what the driver measures of it besides processes. Each figure by itself.

Cards differ in what they tell, and a GPU that fails tells less and less: one figure that is
missing never hides the others.
"""

from collections.abc import Callable, Mapping
from typing import Any

FIGURES = ("utilization_ratio", "memory_used_bytes", "memory_bytes", "temperature_celsius",
           "power_watts", "uncorrected_errors")  # fmt: skip


def read_figures(nvml: Any, handle: Any) -> Mapping[str, float]:
    """Read what the driver tells of a GPU now; what it does not tell is not there."""
    questions: dict[str, Callable[[], float]] = {
        "utilization_ratio": lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100,
        "memory_used_bytes": lambda: nvml.nvmlDeviceGetMemoryInfo(handle).used,
        "memory_bytes": lambda: nvml.nvmlDeviceGetMemoryInfo(handle).total,
        "temperature_celsius": lambda: nvml.nvmlDeviceGetTemperature(
            handle, nvml.NVML_TEMPERATURE_GPU
        ),
        "power_watts": lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000,
        "uncorrected_errors": lambda: nvml.nvmlDeviceGetTotalEccErrors(
            handle, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_AGGREGATE_ECC
        ),
    }
    found = {}
    for name in FIGURES:
        try:
            found[name] = float(questions[name]())
        except nvml.NVMLError:
            continue
    return found
