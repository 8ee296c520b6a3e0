"""Which GPU a lease gets. Pure.

Best fit ("pack") leaves large gaps for large flavors: in simulation it halves the wait of whole-
GPU sessions against spreading. `spread` gives each session the emptiest GPU. Ties go to the first
uuid, so that the same state always gives the same answer.
"""

import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

FULL_MGPU = 1000

# Drivers write "H100 80GB", but "A100-SXM4-40GB".
_BETWEEN_WORDS = re.compile(r"[\s-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuUse:
    """One GPU (or MIG instance), what it has and what is taken of it."""

    uuid: str
    name: str
    kind: str
    memory_mib: int
    in_service: bool
    used_mgpu: int
    used_mib: int
    sharers: int
    sharing: Literal["plain", "exclusive", "mig", "mps"] = "plain"
    holds_memory: bool = False

    def most_sharers(self, lab_most: int) -> int:
        """Return how many sessions may be on it at once."""
        return 1 if self.sharing == "exclusive" else lab_most


@dataclass(frozen=True, slots=True, order=True)
class Ask:
    """What a flavor occupies."""

    share_mgpu: int
    memory_mib: int
    models: tuple[str, ...] = ()


def suits(gpu_name: str, models: Sequence[str]) -> bool:
    """Tell whether a GPU is of one of these models; none named means any.

    A model is one or more words of the GPU's name, as drivers write it: "A100", "H100 80GB", or of
    a MIG instance its profile, "1g.10gb".
    """
    return not models or any(_is_called(gpu_name, model) for model in models)


def fits(gpu: GpuUse, ask: Ask, max_sharers: int) -> bool:
    """Tell whether the GPU has room now."""
    return (
        gpu.in_service
        and suits(gpu.name, ask.models)
        and gpu.used_mgpu + ask.share_mgpu <= FULL_MGPU
        and gpu.used_mib + ask.memory_mib <= gpu.memory_mib
        and gpu.sharers < gpu.most_sharers(max_sharers)
    )


def without(gpus: Iterable[GpuUse], drained: Container[str]) -> tuple[GpuUse, ...]:
    """Return the GPUs with those that an organizer has drained out of service."""
    return tuple(replace(gpu, in_service=False) if gpu.uuid in drained else gpu for gpu in gpus)


def could_ever_fit(gpus: Iterable[GpuUse], ask: Ask) -> bool:
    """Tell whether some GPU in service would have room if it were empty."""
    return any(
        gpu.in_service
        and suits(gpu.name, ask.models)
        and ask.share_mgpu <= FULL_MGPU
        and ask.memory_mib <= gpu.memory_mib
        for gpu in gpus
    )


def choose(
    gpus: Iterable[GpuUse], ask: Ask, *, max_sharers: int, placement: Literal["pack", "spread"]
) -> GpuUse | None:
    """Return the GPU to use, or None when all are too full."""
    candidates = [gpu for gpu in gpus if fits(gpu, ask, max_sharers)]
    if not candidates:
        return None
    sign = -1 if placement == "pack" else 1
    return min(candidates, key=lambda gpu: (sign * gpu.used_mgpu, sign * gpu.used_mib, gpu.uuid))


def occupy(gpu: GpuUse, ask: Ask) -> GpuUse:
    """Return the GPU with one more session on it."""
    return replace(
        gpu,
        used_mgpu=gpu.used_mgpu + ask.share_mgpu,
        used_mib=gpu.used_mib + ask.memory_mib,
        sharers=gpu.sharers + 1,
    )


def release(gpu: GpuUse, ask: Ask) -> GpuUse:
    """Return the GPU with one session less on it."""
    return replace(
        gpu,
        used_mgpu=gpu.used_mgpu - ask.share_mgpu,
        used_mib=gpu.used_mib - ask.memory_mib,
        sharers=gpu.sharers - 1,
    )


def count_slots(gpus: Iterable[GpuUse], ask: Ask, max_sharers: int) -> tuple[int, int]:
    """Return (free, total): how many more sessions of this kind fit now, and on empty GPUs."""
    free = total = 0
    for gpu in gpus:
        if not gpu.in_service or not suits(gpu.name, ask.models):
            continue
        empty = replace(gpu, used_mgpu=0, used_mib=0, sharers=0)
        total += _room(empty, ask, max_sharers)
        free += _room(gpu, ask, max_sharers)
    return free, total


# Of a lab there are a few models and a few names, asked for at every admission.
@lru_cache(maxsize=4096)
def _is_called(gpu_name: str, model: str) -> bool:
    words, wanted = (_BETWEEN_WORDS.split(one.strip().casefold()) for one in (gpu_name, model))
    return any(
        words[at : at + len(wanted)] == wanted for at in range(len(words) - len(wanted) + 1)
    )


def _room(gpu: GpuUse, ask: Ask, max_sharers: int) -> int:
    max_sharers = gpu.most_sharers(max_sharers)
    by_share = (FULL_MGPU - gpu.used_mgpu) // ask.share_mgpu if ask.share_mgpu else max_sharers
    by_memory = (
        (gpu.memory_mib - gpu.used_mib) // ask.memory_mib if ask.memory_mib else max_sharers
    )
    return max(0, min(by_share, by_memory, max_sharers - gpu.sharers))
