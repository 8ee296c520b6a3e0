"""Which GPUs there are: declared ones, and the real bindings over a stand-in for the library.

The stand-in's methods have the names of the C functions.
"""
# ruff: noqa: N802

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pynvml
import pytest

from api.gpus import GpuDevice, InventoryUnavailable, NvmlInventory, choose_inventory
from quota.lab_gpus import DeclaredGpu

GIB = 1 << 30
DECLARED = [DeclaredGpu(name="Virtual GPU", memory_mib=16384, count=2)]


@dataclass
class Card:
    """One GPU of the stand-in; with instances it is in MIG mode."""

    name: str
    uuid: str
    total: int
    instances: list["Card | None"] = field(default_factory=list)
    knows_mig: bool = True


class FakeNvml:
    """Stands in for the C library behind `pynvml`: `byref(x)._obj` is the cell to fill."""

    def __init__(self, cards: list[Card]) -> None:
        self.cards, self.opened, self.fails = cards, 0, False
        self.handles: list[Card] = []

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)  # pynvml makes NVMLError_FunctionNotFound of it

    def nvmlInitWithFlags(self, _flags: int) -> int:
        self.opened += 1
        return 0

    def nvmlShutdown(self) -> int:
        self.opened -= 1
        return 0

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:
        count._obj.value = len(self.cards)
        return int(pynvml.NVML_ERROR_GPU_IS_LOST) if self.fails else 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: Any, handle: Any) -> int:
        return self._hand_out(self.cards[index.value], handle)

    def nvmlDeviceGetName(self, handle: Any, buffer: Any, _size: Any) -> int:
        buffer.value = self._card(handle).name.encode()
        return 0

    def nvmlDeviceGetUUID(self, handle: Any, buffer: Any, _size: Any) -> int:
        buffer.value = self._card(handle).uuid.encode()
        return 0

    def nvmlDeviceGetMemoryInfo(self, handle: Any, memory: Any) -> int:
        memory._obj.total = self._card(handle).total
        return 0

    def nvmlDeviceGetMigMode(self, handle: Any, current: Any, pending: Any) -> int:
        card = self._card(handle)
        current._obj.value = pending._obj.value = int(bool(card.instances))
        return 0 if card.knows_mig else int(pynvml.NVML_ERROR_NOT_SUPPORTED)

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: Any, count: Any) -> int:
        count._obj.value = len(self._card(handle).instances)
        return 0

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: Any, index: Any, found: Any) -> int:
        instance = self._card(handle).instances[index.value]
        if instance is None:
            return int(pynvml.NVML_ERROR_NOT_FOUND)
        return self._hand_out(instance, found)

    def _hand_out(self, card: Card, handle: Any) -> int:
        self.handles.append(card)
        number = ctypes.c_void_p(len(self.handles))
        ctypes.memmove(ctypes.addressof(handle._obj), ctypes.byref(number), 8)
        return 0

    def _card(self, handle: Any) -> Card:
        return self.handles[ctypes.cast(handle, ctypes.c_void_p).value - 1]


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNvml]:
    fake = FakeNvml([])
    monkeypatch.setattr(pynvml, "nvmlLib", fake)
    monkeypatch.setattr(pynvml, "_LoadNvmlLibrary", lambda: None)
    # Without a cache of function pointers from another library.
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    yield fake
    assert fake.opened == 0, "every look closes the library again"


def test_whole_gpus_are_listed(library: FakeNvml) -> None:
    library.cards = [Card("T4", "GPU-a", 16 * GIB, knows_mig=False), Card("L4", "GPU-b", 24 * GIB)]
    assert NvmlInventory(pynvml).devices() == (
        GpuDevice(uuid="GPU-a", name="T4", memory_mib=16384, kind="gpu"),
        GpuDevice(uuid="GPU-b", name="L4", memory_mib=24576, kind="gpu"),
    )


def test_a_gpu_in_mig_mode_is_its_instances(library: FakeNvml) -> None:
    instances = [Card("MIG 1g.10gb", "MIG-1", 10 * GIB), None, Card("MIG 1g", "MIG-3", 10 * GIB)]
    library.cards = [Card("H100", "GPU-h", 80 * GIB, instances=instances)]
    found = NvmlInventory(pynvml).devices()
    assert [(one.uuid, one.kind) for one in found] == [("MIG-1", "mig"), ("MIG-3", "mig")]


def test_a_lost_gpu_is_said_and_the_library_closed(library: FakeNvml) -> None:
    library.fails = True
    with pytest.raises(InventoryUnavailable, match="driver failed"):
        NvmlInventory(pynvml).devices()


def test_real_gpus_come_before_declared_ones(library: FakeNvml) -> None:
    library.cards = [Card("T4", "GPU-a", 16 * GIB)]
    inventory, why = choose_inventory("auto", DECLARED)
    assert [one.uuid for one in inventory.devices()] == ["GPU-a"]
    assert why == "NVML found them"
    inventory, _ = choose_inventory("declared", DECLARED)
    assert {one.kind for one in inventory.devices()} == {"virtual"}


def test_without_a_gpu_auto_takes_the_declared_and_nvml_refuses(library: FakeNvml) -> None:
    inventory, why = choose_inventory("auto", DECLARED)
    assert [one.uuid for one in inventory.devices()] == ["VIRTUAL-0", "VIRTUAL-1"]
    assert "shows no GPU" in why
    with pytest.raises(InventoryUnavailable, match="shows no GPU"):
        choose_inventory("nvml", DECLARED)
    library.fails = True
    assert "driver failed" in choose_inventory("auto", DECLARED)[1]
    with pytest.raises(InventoryUnavailable, match="driver failed"):
        choose_inventory("nvml", DECLARED)
