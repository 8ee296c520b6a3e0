"""The machine's GPUs, from NVIDIA's driver by its library NVML."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import structlog

from api.gpus.devices import GpuDevice, GpuLook, GpuProcess, InventoryUnavailable
from api.gpus.figures import read_figures

log = structlog.get_logger()

_MIB = 1024 * 1024
# Between a question's two calls (how many, then which) there may be more.
_TRIES = 3
# The driver sometimes tells nonsense for a process that has just begun or ended.
_MOST_PERCENT = 100


class NvmlGpus:
    """Asks the driver anew each time; a GPU in MIG mode is listed as its instances."""

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        # Per GPU, in the driver's own microseconds: what it measured until then was told before.
        self._told_until: dict[str, int] = {}

    def devices(self) -> tuple[GpuDevice, ...]:
        """List what the driver shows now, without what it has lost."""
        with self._opened():
            return tuple(self._device(one, kind, parent) for one, kind, parent in self._handles())

    def look(self) -> GpuLook:
        """Ask for every GPU which processes compute on it, how much memory and time they take."""
        processes: list[GpuProcess] = []
        told: set[str] = set()
        figures: dict[str, Mapping[str, float]] = {}
        with self._opened():
            for handle, kind, _parent in self._handles():
                uuid = _text(self._nvml.nvmlDeviceGetUUID(handle))
                figures[uuid] = read_figures(self._nvml, handle)
                found = self._processes(handle, uuid, kind)
                if found is not None:
                    told.add(uuid)
                    processes += found
        return GpuLook(processes=tuple(processes), told=frozenset(told), figures=figures)

    @contextmanager
    def _opened(self) -> Iterator[None]:
        # Anew for each look: after a driver was restarted an open library only knows errors.
        nvml = self._nvml
        try:
            nvml.nvmlInit()
        except nvml.NVMLError as error:
            raise InventoryUnavailable(f"the NVIDIA driver does not answer: {error}") from error
        try:
            yield
        except nvml.NVMLError as error:
            raise InventoryUnavailable(f"the NVIDIA driver failed: {error}") from error
        finally:
            nvml.nvmlShutdown()

    # -- which there are ----------------------------------------------------------------------

    def _handles(self) -> Iterator[tuple[Any, Literal["gpu", "mig"], str]]:
        nvml = self._nvml
        for number in range(nvml.nvmlDeviceGetCount()):
            try:
                handle = nvml.nvmlDeviceGetHandleByIndex(number)
                uuid = _text(nvml.nvmlDeviceGetUUID(handle))
            except nvml.NVMLError as error:
                if error.value != nvml.NVML_ERROR_GPU_IS_LOST:
                    raise
                # The others go on; this one leaves service, because it is not listed.
                log.error("gpu_lost", number=number, alarm=True)
                continue
            instances = self._instances(handle)
            if instances is None:
                yield handle, "gpu", ""
            else:
                yield from ((one, "mig", uuid) for one in instances)

    def _instances(self, handle: Any) -> list[Any] | None:
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

    def _device(self, handle: Any, kind: Literal["gpu", "mig"], parent: str) -> GpuDevice:
        nvml = self._nvml
        return GpuDevice(
            uuid=_text(nvml.nvmlDeviceGetUUID(handle)),
            name=_text(nvml.nvmlDeviceGetName(handle)),
            memory_mib=int(nvml.nvmlDeviceGetMemoryInfo(handle).total) // _MIB,
            kind=kind,
            parent=parent,
        )

    # -- what runs on them --------------------------------------------------------------------

    def _processes(self, handle: Any, uuid: str, kind: str) -> list[GpuProcess] | None:
        """Return the processes of one GPU, None when that cannot be told."""
        nvml = self._nvml
        try:
            running = self._ask(nvml.nvmlDeviceGetComputeRunningProcesses, handle)
            if self._is_behind_mps(handle):
                # The driver sees MPS's server there, not the sessions behind it.
                return None
        except nvml.NVMLError as error:
            log.warning("gpu_not_told", gpu=uuid, error=str(error))
            return None
        # Instances of MIG measure no processes.
        busy = self._percents(handle, uuid) if kind == "gpu" else None
        return [
            GpuProcess(
                gpu_uuid=uuid, pid=int(one.pid),
                memory_mib=None if one.usedGpuMemory is None else int(one.usedGpuMemory) // _MIB,
                # Only processes that were busy are measured: the others were at nothing.
                sm_percent=None if busy is None else busy.get(int(one.pid), 0.0),
            )
            for one in running
        ]  # fmt: skip

    def _is_behind_mps(self, handle: Any) -> bool:
        nvml = self._nvml
        try:
            return bool(self._ask(nvml.nvmlDeviceGetMPSComputeRunningProcesses, handle))
        except nvml.NVMLError as error:
            if error.value in (nvml.NVML_ERROR_FUNCTION_NOT_FOUND, nvml.NVML_ERROR_NOT_SUPPORTED):
                return False
            raise

    def _percents(self, handle: Any, uuid: str) -> dict[int, float] | None:
        """Return for how much of the time since the last look each process had a kernel running.

        None when it is not told: by a card that cannot, or at the first look, which would be told
        of the distant past.
        """
        nvml = self._nvml
        since = self._told_until.get(uuid)
        try:
            samples = self._ask(nvml.nvmlDeviceGetProcessUtilization, handle, since or 0)
        except nvml.NVMLError as error:
            # NVML says so when nothing was busy; nvidia-ml-py makes an error 0 of it.
            if error.value not in (nvml.NVML_SUCCESS, nvml.NVML_ERROR_NOT_FOUND):
                return None
            samples = []
        fresh = [one for one in samples if one.timeStamp > (since or 0)]
        self._told_until[uuid] = max((one.timeStamp for one in fresh), default=since or 0)
        if since is None:
            return None
        found: dict[int, list[float]] = {}
        for one in fresh:
            percent = float(one.smUtil) if one.smUtil <= _MOST_PERCENT else 0.0
            found.setdefault(int(one.pid), []).append(percent)
        return {pid: sum(some) / len(some) for pid, some in found.items()}

    def _ask(self, question: Any, *arguments: Any) -> Any:
        nvml = self._nvml
        for _ in range(_TRIES - 1):
            try:
                return question(*arguments)
            except nvml.NVMLError as error:
                if error.value != nvml.NVML_ERROR_INSUFFICIENT_SIZE:
                    raise
        return question(*arguments)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
