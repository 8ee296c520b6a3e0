"""Virtual GPUs, so that everything but CUDA itself runs, is tested and can be shown."""

from collections.abc import Iterable

from api.gpus.devices import GpuDevice, GpuLook
from quota.lab_gpus import DeclaredGpu


class DeclaredGpus:
    """What lab.yaml says; nobody can tell what runs on a GPU that is not there."""

    def __init__(self, declared: Iterable[DeclaredGpu]) -> None:
        every = [gpu for gpu in declared for _ in range(gpu.count)]
        self._devices = tuple(
            GpuDevice(uuid=f"VIRTUAL-{number}", name=gpu.name, memory_mib=gpu.memory_mib,
                      kind="virtual") for number, gpu in enumerate(every)
        )  # fmt: skip

    def devices(self) -> tuple[GpuDevice, ...]:
        """List the declared GPUs."""
        return self._devices

    def look(self) -> GpuLook:
        """Know nothing of what runs on them."""
        return GpuLook()
