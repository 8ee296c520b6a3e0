"""Real GPUs or declared ones, by what lab.yaml wants and the machine has."""

from collections.abc import Iterable
from typing import Any, Literal

from api.gpus.declared import DeclaredGpus
from api.gpus.devices import GpuSource, InventoryUnavailable
from api.gpus.nvml import NvmlGpus
from quota.lab_gpus import DeclaredGpu


def choose_gpus(
    mode: Literal["auto", "nvml", "declared"], declared: Iterable[DeclaredGpu]
) -> tuple[GpuSource, str]:
    """Choose by policy, and say why: NVML when library and device are there, else declared.

    Raises:
        InventoryUnavailable: `nvml` is asked for and there is no GPU.

    """
    virtual = DeclaredGpus(declared)
    if mode == "declared":
        return virtual, "lab.yaml declares the GPUs"
    try:
        real = NvmlGpus(load_nvml())
        count = len(real.devices())
    except InventoryUnavailable as error:
        if mode == "nvml":
            raise
        return virtual, f"virtual GPUs from lab.yaml, since {error}"
    if count:
        return real, "NVML found them"
    if mode == "nvml":
        raise InventoryUnavailable("the NVIDIA driver shows no GPU")
    return virtual, "virtual GPUs from lab.yaml, since the NVIDIA driver shows no GPU"


def load_nvml() -> Any:
    """Load NVIDIA's bindings.

    Raises:
        InventoryUnavailable: they are not installed.

    """
    try:
        import pynvml  # noqa: PLC0415 - loads a driver library; only where it is wanted
    except ImportError as error:
        raise InventoryUnavailable("the NVML library is not installed") from error
    return pynvml
