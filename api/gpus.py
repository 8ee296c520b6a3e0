"""What GPUs there are: read from NVML, or declared in lab.yaml, behind one protocol."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from quota.lab_gpus import DeclaredGpu

_MIB = 1024 * 1024


class InventoryUnavailable(Exception):
    """The GPUs could not be asked for; nothing is known of them now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuDevice:
    """One GPU, MIG instance or virtual GPU."""

    uuid: str
    name: str
    memory_mib: int
    kind: Literal["gpu", "mig", "virtual"]


class GpuInventory(Protocol):
    """Tells which GPUs there are."""

    def devices(self) -> tuple[GpuDevice, ...]:
        """List them.

        Raises:
            InventoryUnavailable: they could not be asked for.

        """


class DeclaredInventory:
    """Virtual GPUs, so that everything but CUDA itself runs without one."""

    def __init__(self, declared: Iterable[DeclaredGpu]) -> None:
        every = [gpu for gpu in declared for _ in range(gpu.count)]
        self._devices = tuple(
            GpuDevice(uuid=f"VIRTUAL-{number}", name=gpu.name, memory_mib=gpu.memory_mib,
                      kind="virtual") for number, gpu in enumerate(every)
        )  # fmt: skip

    def devices(self) -> tuple[GpuDevice, ...]:
        """List the declared GPUs."""
        return self._devices


class NvmlInventory:
    """The machine's GPUs; a GPU in MIG mode is listed as its instances."""

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml

    def devices(self) -> tuple[GpuDevice, ...]:
        """List what the driver shows now."""
        nvml = self._nvml
        try:
            nvml.nvmlInit()
        except nvml.NVMLError as error:
            raise InventoryUnavailable(f"the NVIDIA driver does not answer: {error}") from error
        try:
            handles = map(nvml.nvmlDeviceGetHandleByIndex, range(nvml.nvmlDeviceGetCount()))
            return tuple(device for handle in handles for device in self._of(handle))
        except nvml.NVMLError as error:
            raise InventoryUnavailable(f"the NVIDIA driver failed: {error}") from error
        finally:
            nvml.nvmlShutdown()

    def _of(self, handle: Any) -> list[GpuDevice]:
        instances = self._mig_handles(handle)
        if instances is None:
            return [self._device(handle, "gpu")]
        return [self._device(instance, "mig") for instance in instances]

    def _mig_handles(self, handle: Any) -> list[Any] | None:
        """Return the MIG instances of a GPU, or None when it is not in MIG mode."""
        nvml = self._nvml
        try:
            current, _pending = nvml.nvmlDeviceGetMigMode(handle)
            if current != nvml.NVML_DEVICE_MIG_ENABLE:
                return None
            most = nvml.nvmlDeviceGetMaxMigDeviceCount(handle)
        except nvml.NVMLError:
            # Most cards know nothing of MIG and say so by an error.
            return None
        found = []
        for number in range(most):
            try:
                found.append(nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number))
            except nvml.NVMLError:
                continue
        return found

    def _device(self, handle: Any, kind: Literal["gpu", "mig"]) -> GpuDevice:
        nvml = self._nvml
        return GpuDevice(
            uuid=_text(nvml.nvmlDeviceGetUUID(handle)),
            name=_text(nvml.nvmlDeviceGetName(handle)),
            memory_mib=int(nvml.nvmlDeviceGetMemoryInfo(handle).total) // _MIB,
            kind=kind,
        )


def choose_inventory(
    mode: Literal["auto", "nvml", "declared"], declared: Iterable[DeclaredGpu]
) -> tuple[GpuInventory, str]:
    """Choose by policy, and say why: NVML when library and device are there, else declared.

    Raises:
        InventoryUnavailable: `nvml` is asked for and there is no GPU.

    """
    virtual = DeclaredInventory(declared)
    if mode == "declared":
        return virtual, "lab.yaml declares the GPUs"
    try:
        real = _real_inventory()
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


def _real_inventory() -> NvmlInventory:
    try:
        import pynvml  # noqa: PLC0415 - loads a driver library; only where it is wanted
    except ImportError as error:
        raise InventoryUnavailable("the NVML library is not installed") from error
    return NvmlInventory(pynvml)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
