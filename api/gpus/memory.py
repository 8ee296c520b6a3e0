"""Holding sessions to their part of a GPU's memory, where driver and kernel can do that.

The driver (615 or newer) limits a cgroup of version 2 on a GPU that is not in MIG mode. Everywhere
else the part is advice, which the hub gives to PyTorch at the session's start; never both, or it
would count twice. See docs/gpus.md.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import structlog

from api.gpus.devices import GpuDevice
from api.gpus.processes import Process
from quota.session_states import RunningSession

log = structlog.get_logger()

_CGROUPS = Path("/sys/fs/cgroup")
_BYTES_PER_MIB = 1024 * 1024
# As hub/leased.py writes it.
_ADVICE = b"per_process_memory_fraction:"


class MemoryHolder:
    """Sets the limits of sessions in containers, once for each."""

    def __init__(self, nvml: Any, *, proc: Path = Path("/proc"), cgroups: Path = _CGROUPS) -> None:
        self._nvml = nvml
        self._proc = proc
        self._cgroups = cgroups
        self._promised: frozenset[str] = frozenset()
        self._held: set[str] = set()
        self._broken: set[str] = set()

    def promise(self, devices: Iterable[GpuDevice]) -> frozenset[str]:
        """Return the GPUs on which new sessions will be held; the hub tells them nothing then."""
        self._promised = frozenset(one.uuid for one in devices if self._can_hold(one))
        return self._promised

    def hold(
        self,
        sessions: Iterable[RunningSession],
        processes: Mapping[int, Process],
        owners: Mapping[int, str],
    ) -> None:
        """Set the limit of each session that has none yet, on GPUs where that was promised."""
        some = list(sessions)
        roots = _first_processes(processes, owners)
        self._held &= {one.ref for one in some}
        for one in some:
            if one.ref in self._held or one.gpu_uuid not in self._promised or not one.memory_mib:
                continue
            pid = roots.get(one.ref)
            cgroup = None if pid is None or self._is_told(pid) else self._cgroup_of(pid)
            if cgroup is not None and one.gpu_uuid is not None:
                self._hold_one(one.ref, one.gpu_uuid, cgroup, one.memory_mib)

    def _can_hold(self, device: GpuDevice) -> bool:
        """Tell whether sessions on a GPU can be held to their memory."""
        if device.kind != "gpu" or device.uuid in self._broken:
            return False
        # Only version 2 has one tree for everything.
        if not (self._cgroups / "cgroup.controllers").exists():
            return False
        nvml = self._nvml
        try:
            nvml.nvmlInit()
        except nvml.NVMLError:
            return False
        try:
            self._limits(device.uuid, self._cgroups)
        except nvml.NVMLError as error:
            # The root has no limit of its own; a driver that cannot answers otherwise.
            return bool(error.value == nvml.NVML_ERROR_NOT_FOUND)
        finally:
            nvml.nvmlShutdown()
        return True

    def _hold_one(self, ref: str, gpu_uuid: str, cgroup: Path, memory_mib: int) -> None:
        nvml = self._nvml
        try:
            nvml.nvmlInit()
        except nvml.NVMLError as error:
            log.warning("memory_not_held_yet", ref=ref[:64], error=str(error))
            return
        try:
            wanted = nvml.c_nvmlSetMemoryLimits_v1_t()
            wanted.nameSpace = str(cgroup).encode()
            # A soft limit would reserve memory in the groups above, and outlive the session.
            wanted.softLimit, wanted.hardLimit = 0, memory_mib * _BYTES_PER_MIB
            handle = nvml.nvmlDeviceGetHandleByUUID(gpu_uuid.encode())
            nvml.nvmlDeviceSetMemoryLimits_v1(handle, wanted)
            in_force = self._limits(gpu_uuid, cgroup)
            trouble = "" if in_force == wanted.hardLimit else f"{in_force} bytes are in force"
        except nvml.NVMLError as error:
            trouble = str(error)
        finally:
            nvml.nvmlShutdown()
        # Also what failed is not tried again: the alarm is raised once.
        self._held.add(ref)
        if not trouble:
            log.info("memory_held", ref=ref[:64], gpu=gpu_uuid, memory_mib=memory_mib)
            return
        # Nobody was told to keep to it by themselves, so somebody has to look; the next sessions
        # on this GPU are told.
        self._broken.add(gpu_uuid)
        log.error("memory_not_held", ref=ref[:64], gpu=gpu_uuid, error=trouble, alarm=True)

    def _limits(self, gpu_uuid: str, cgroup: Path) -> int:
        nvml = self._nvml
        told = nvml.c_nvmlGetMemoryLimits_v1_t()
        told.nameSpace = str(cgroup).encode()
        handle = nvml.nvmlDeviceGetHandleByUUID(gpu_uuid.encode())
        nvml.nvmlDeviceGetMemoryLimits_v1(handle, told)
        return int(told.hardLimit)

    def _is_told(self, pid: int) -> bool:
        """Tell whether a session was told at its start to keep to its part by itself."""
        try:
            told = (self._proc / str(pid) / "environ").read_bytes()
        except OSError:
            return True
        return _ADVICE in told

    def _cgroup_of(self, pid: int) -> Path | None:
        """Return the leaf of a process in the one tree of version 2."""
        try:
            lines = (self._proc / str(pid) / "cgroup").read_text().splitlines()
        except OSError:
            return None
        for line in lines:
            if line.startswith("0::/"):
                return self._cgroups / line.removeprefix("0::/")
        return None


def _first_processes(
    processes: Mapping[int, Process], owners: Mapping[int, str]
) -> dict[str, int]:
    """Return the oldest process of each session: that of the container itself."""
    first: dict[str, int] = {}
    for pid, ref in owners.items():
        known = first.get(ref)
        key = (processes[pid].start_ticks, pid)
        if known is None or key < (processes[known].start_ticks, known):
            first[ref] = pid
    return first
