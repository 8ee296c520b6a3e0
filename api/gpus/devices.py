"""GPUs and what runs on them, whoever tells it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from quota.gpu_sharing import sharing_in_force
from quota.lab_gpus import GpuPolicy
from quota.placement import GpuUse


class InventoryUnavailable(Exception):
    """The GPUs could not be asked for; nothing is known of them now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuDevice:
    """One GPU, MIG instance or virtual GPU; of an instance `parent` is the GPU that it is of."""

    uuid: str
    name: str
    memory_mib: int
    kind: Literal["gpu", "mig", "virtual"]
    parent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuProcess:
    """One process that computes on a GPU; None stands for what the driver does not tell."""

    gpu_uuid: str
    pid: int
    memory_mib: int | None
    sm_percent: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuLook:
    """What ran on the GPUs at one look.

    Of a GPU that is not in `told` nothing is known: it is not that nothing runs there. `figures`
    has for each real GPU what the driver measures, by `api.gpus.figures.FIGURES`. `is_answered` is
    false when the driver did not answer at all.
    """

    processes: tuple[GpuProcess, ...] = ()
    told: frozenset[str] = frozenset()
    figures: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    is_answered: bool = True

    def on(self, gpu_uuid: str) -> tuple[GpuProcess, ...]:
        """Return what runs on one GPU."""
        return tuple(one for one in self.processes if one.gpu_uuid == gpu_uuid)


def as_empty(
    devices: Iterable[GpuDevice], policy: GpuPolicy, *, held: frozenset[str]
) -> list[GpuUse]:
    """Return GPUs as the books take them in; of those in `held` the driver holds to the memory."""
    return [
        GpuUse(uuid=one.uuid, name=one.name, kind=one.kind, memory_mib=one.memory_mib,
               in_service=True, used_mgpu=0, used_mib=0, sharers=0,
               sharing=sharing_in_force(policy, one.uuid, one.kind),
               holds_memory=one.uuid in held)
        for one in devices
    ]  # fmt: skip


class GpuInventory(Protocol):
    """Tells which GPUs there are."""

    def devices(self) -> tuple[GpuDevice, ...]:
        """List them.

        Raises:
            InventoryUnavailable: they could not be asked for.

        """


class GpuSource(GpuInventory, Protocol):
    """Tells also what runs on them."""

    def look(self) -> GpuLook:
        """Return what runs now.

        Raises:
            InventoryUnavailable: they could not be asked for.

        """
