"""The waiting line: whose turn it is, which place one has, about how long it takes. Pure.

Order is first come, first served. Whoever fits into what those ahead leave free may go first
(backfill), but a waiter who has waited long blocks one GPU for itself, so that small sessions
cannot keep a whole-GPU session waiting for ever.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from quota.placement import FULL_MGPU, Ask, GpuUse, choose, could_ever_fit, occupy, release

# Long enough that a class start does not block GPUs at once, short enough for a 2-hour section.
BACKFILL_FOR = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiter:
    """One place in the line."""

    lease_id: UUID
    ask: Ask
    requested_at: datetime
    flavor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A session that holds a slot, and when it will have to end if it runs on."""

    gpu_uuid: str
    ask: Ask
    ends_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The GPUs and the rule of placing on them."""

    gpus: tuple[GpuUse, ...]
    max_sharers: int
    placement: Literal["pack", "spread"]
    models: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """On which models a flavor may be placed, for flavors that name some."""

    def ask_of(self, waiter: Waiter) -> Ask:
        """Tell what somebody needs now; the models follow the policy of now."""
        models = self.models.get(waiter.flavor, ())
        return replace(waiter.ask, models=models) if models else waiter.ask


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where somebody stands: 1 is next. `slot` is a GPU when it is their turn."""

    position: int
    of: int
    slot: GpuUse | None


def in_order(waiters: Iterable[Waiter]) -> list[Waiter]:
    """Sort the line; the id breaks ties, so that the order never flickers."""
    return sorted(waiters, key=lambda waiter: (waiter.requested_at, waiter.lease_id))


def place_of(me: Waiter, waiters: Iterable[Waiter], room: Room, *, now: datetime) -> Place:
    """Tell my place, and the GPU I get now if those ahead leave me room."""
    line = in_order({*waiters, me})
    mine = line.index(me)
    left = _after_those_ahead(line[:mine], room, now=now)
    return Place(position=mine + 1, of=len(line), slot=_pick(left, me, room))


def next_served(
    waiters: Iterable[Waiter], among: Container[UUID], room: Room, *, now: datetime
) -> UUID | None:
    """Return the first of some in the line who gets a slot now: one walk, not one for each."""
    gpus = {gpu.uuid: gpu for gpu in room.gpus}
    for waiter in in_order(waiters):
        if waiter.lease_id in among and _pick(gpus.values(), waiter, room) is not None:
            return waiter.lease_id
        _give_way(gpus, waiter, room, now=now)
    return None


def estimate(
    me: Waiter, waiters: Iterable[Waiter], running: Sequence[Running], room: Room, *, now: datetime
) -> datetime | None:
    """Guess when it is my turn if every session runs until its GPU-hours are used up.

    An upper bound in practice, since most people stop earlier. None when nothing will end.
    """
    ends = sorted((one for one in running if one.ends_at), key=lambda one: (one.ends_at, one.ask))
    gpus = {gpu.uuid: gpu for gpu in room.gpus}
    for one in ends:
        assert one.ends_at is not None
        if one.gpu_uuid not in gpus:
            continue
        gpus[one.gpu_uuid] = release(gpus[one.gpu_uuid], one.ask)
        then = replace(room, gpus=tuple(gpus.values()))
        if place_of(me, waiters, then, now=now).slot is not None:
            return max(one.ends_at, now)
    return None


def _after_those_ahead(ahead: list[Waiter], room: Room, *, now: datetime) -> tuple[GpuUse, ...]:
    gpus = {gpu.uuid: gpu for gpu in room.gpus}
    for waiter in ahead:
        _give_way(gpus, waiter, room, now=now)
    return tuple(gpus.values())


def _give_way(gpus: dict[str, GpuUse], ahead: Waiter, room: Room, *, now: datetime) -> None:
    """Take from the GPUs what somebody ahead will take."""
    slot = _pick(gpus.values(), ahead, room)
    if slot is not None:
        gpus[slot.uuid] = occupy(slot, ahead.ask)
    elif now - ahead.requested_at >= BACKFILL_FOR:
        _block_one(gpus, room.ask_of(ahead))


def _block_one(gpus: dict[str, GpuUse], ask: Ask) -> None:
    """Let nobody behind onto the GPU that will be free for this waiter first: the emptiest."""
    able = [gpu for gpu in gpus.values() if could_ever_fit((gpu,), ask)]
    able = [gpu for gpu in able if gpu.used_mgpu < FULL_MGPU]
    if able:
        emptiest = min(able, key=lambda gpu: (gpu.used_mgpu, gpu.uuid))
        full = Ask(FULL_MGPU - emptiest.used_mgpu, 0)
        gpus[emptiest.uuid] = occupy(emptiest, full)


def _pick(gpus: Iterable[GpuUse], waiter: Waiter, room: Room) -> GpuUse | None:
    ask = room.ask_of(waiter)
    return choose(gpus, ask, max_sharers=room.max_sharers, placement=room.placement)
