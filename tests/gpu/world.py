"""GPUs that are not there, as tests want them, and two stand-ins for NVIDIA's library.

`InPython` is an object in the library's place; `in_c` compiles `fakenvml.c` and loads that, so
that all of nvidia-ml-py runs as it does on a real machine.
"""
# ruff: noqa: N802 - the names of the C functions

import ctypes
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pynvml

GIB_IN_MIB = 1024
_SOURCE = Path(__file__).with_name("fakenvml.c")


@dataclass
class Instance:
    name: str
    uuid: str
    number: int
    memory_mib: int = 10 * GIB_IN_MIB


@dataclass
class Card:
    name: str
    uuid: str
    memory_mib: int = 16 * GIB_IN_MIB
    instances: list[Instance] | None = None
    is_lost: bool = False
    celsius: int = 0
    milliwatts: int = 0


@dataclass
class Running:
    gpu: int
    pid: int
    memory_mib: int | None = 1000
    sm: int = 0
    instance: int = -1


@dataclass
class World:
    cards: list[Card] = field(default_factory=list)
    processes: list[Running] = field(default_factory=list)
    mps: list[tuple[int, int]] = field(default_factory=list)
    fails: dict[str, int] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Tell the stand-in in C."""
        lines = []
        for number, card in enumerate(self.cards):
            mig = int(card.instances is not None)
            lines.append(f'gpu "{card.name}" {card.uuid} {card.memory_mib} {mig}')
            lines += [f'mig {number} "{one.name}" {one.uuid} {one.number} {one.memory_mib}'
                      for one in card.instances or []]  # fmt: skip
            lines += [f"lost {number}"] if card.is_lost else []
            lines.append(f"measures {number} {card.celsius} {card.milliwatts}")
        for one in self.processes:
            memory = "-" if one.memory_mib is None else one.memory_mib
            lines.append(f"proc {one.gpu} {one.pid} {memory} {one.sm} {one.instance}")
        lines += [f"mps {gpu} {pid}" for gpu, pid in self.mps]
        lines += [f"fail {name} {code}" for name, code in self.fails.items()]
        path.write_text("\n".join(lines) + "\n")


def in_c(folder: Path) -> ctypes.CDLL:
    """Compile the stand-in in C and load it."""
    return ctypes.CDLL(str(build(folder)))


def build(folder: Path) -> Path:
    """Compile the stand-in in C."""
    library = folder / "libnvidia-ml.so.1"
    subprocess.run(
        ["cc", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", library, _SOURCE],
        check=True, timeout=60,
    )  # fmt: skip
    return library


class InPython:
    """Stands in for the C library behind `pynvml`: `byref(x)._obj` is the cell to fill.

    It has no memory limits, like a driver before 615.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.opened = 0
        self._at = 1_000_000
        self._handles: list[Any] = []

    def __getattribute__(self, name: str) -> Any:
        found = object.__getattribute__(self, name)
        if not name.startswith("nvml"):
            return found
        world = object.__getattribute__(self, "world")

        def call(*arguments: Any) -> Any:
            # Looked up at each call: nvidia-ml-py keeps the function.
            return world.fails[name] if name in world.fails else found(*arguments)

        return call

    def nvmlInitWithFlags(self, _flags: int) -> int:
        self.opened += 1
        return 0

    def nvmlShutdown(self) -> int:
        self.opened -= 1
        return 0

    def nvmlErrorString(self, _code: int) -> bytes:
        return b"an error of the stand-in"

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:
        count._obj.value = len(self.world.cards)
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: Any, handle: Any) -> int:
        card = self.world.cards[index.value]
        self._hand_out(card, handle)
        return int(pynvml.NVML_ERROR_GPU_IS_LOST) if card.is_lost else 0

    def nvmlDeviceGetName(self, handle: Any, buffer: Any, _size: Any) -> int:
        buffer.value = self._one(handle).name.encode()
        return 0

    def nvmlDeviceGetUUID(self, handle: Any, buffer: Any, _size: Any) -> int:
        buffer.value = self._one(handle).uuid.encode()
        return 0

    def nvmlDeviceGetMemoryInfo(self, handle: Any, memory: Any) -> int:
        memory._obj.total = self._one(handle).memory_mib << 20
        return 0

    def nvmlDeviceGetMigMode(self, handle: Any, current: Any, pending: Any) -> int:
        mig = int(self._one(handle).instances is not None)
        current._obj.value = pending._obj.value = mig
        return 0

    def nvmlDeviceGetMaxMigDeviceCount(self, _handle: Any, count: Any) -> int:
        count._obj.value = 7
        return 0

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: Any, index: Any, found: Any) -> int:
        for one in self._one(handle).instances:
            if one.number == index.value:
                self._hand_out(one, found)
                return 0
        return int(pynvml.NVML_ERROR_NOT_FOUND)

    def nvmlDeviceGetComputeRunningProcesses_v3(self, handle: Any, count: Any, out: Any) -> int:
        gpu, instance = self._place(handle)
        some = [one for one in self.world.processes
                if one.gpu == gpu and instance in (-1, one.instance)]  # fmt: skip
        room, count._obj.value = count._obj.value, len(some)
        if len(some) > room:
            return int(pynvml.NVML_ERROR_INSUFFICIENT_SIZE)
        for index, one in enumerate(some if out is not None else []):
            out[index].pid = one.pid
            told = one.memory_mib
            out[index].usedGpuMemory = (1 << 64) - 1 if told is None else told << 20
        return 0

    def nvmlDeviceGetMPSComputeRunningProcesses_v3(self, handle: Any, count: Any, out: Any) -> int:
        gpu, _ = self._place(handle)
        pids = [pid for one, pid in self.world.mps if one == gpu]
        room, count._obj.value = count._obj.value, len(pids)
        if len(pids) > room:
            return int(pynvml.NVML_ERROR_INSUFFICIENT_SIZE)
        for index, pid in enumerate(pids if out is not None else []):
            out[index].pid = pid
        return 0

    def nvmlDeviceGetProcessUtilization(
        self, handle: Any, out: Any, count: Any, _since: Any
    ) -> int:
        gpu, instance = self._place(handle)
        if instance != -1:
            return int(pynvml.NVML_ERROR_NOT_SUPPORTED)
        busy = [one for one in self.world.processes if one.gpu == gpu and one.sm]
        if not busy:
            return int(pynvml.NVML_ERROR_NOT_FOUND)
        room, count._obj.value = count._obj.value, len(busy)
        if out is None or len(busy) > room:
            return int(pynvml.NVML_ERROR_INSUFFICIENT_SIZE)
        self._at += 1_000_000
        for index, one in enumerate(busy):
            out[index].pid, out[index].timeStamp, out[index].smUtil = one.pid, self._at, one.sm
        return 0

    def _hand_out(self, one: Any, handle: Any) -> None:
        self._handles.append(one)
        number = ctypes.c_void_p(len(self._handles))
        ctypes.memmove(ctypes.addressof(handle._obj), ctypes.byref(number), 8)

    def _one(self, handle: Any) -> Any:
        return self._handles[int(ctypes.cast(handle, ctypes.c_void_p).value or 0) - 1]

    def _place(self, handle: Any) -> tuple[int, int]:
        one = self._one(handle)
        for number, card in enumerate(self.world.cards):
            if one is card:
                return number, -1
            if one in (card.instances or []):
                return number, one.number
        raise AssertionError(one)
