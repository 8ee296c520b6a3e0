"""When it will be somebody's turn: the line played forward several times. Pure.

How long sessions really last is taken from those that ended lately: most stop long before their
GPU-hours are used up. Each play draws other lengths from them; what is told is the middle of all
plays. Nothing here is random: the same state always gives the same answer.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush
from typing import TypeAlias
from uuid import UUID

from quota.placement import Ask, GpuUse, occupy, release
from quota.waiting import Room, Waiter, in_order, pick, walk

_PLAYS = 9
# Fewer ended sessions than that tell nothing about the next ones.
_LEAST_KNOWN = 5
# Drawing by these two keeps the lengths of one play far apart from each other.
_GOLDEN, _SILVER = 0.6180339887498949, 0.41421356237309515
# A long line is looked at so far; who stands behind is told nothing.
_MOST_ENDS = 300
# A line of so many people and sessions is played fewer times, to take no longer.
_LARGE = 2_000
# Stands for a GPU where the hours change for which GPUs are kept.
_EDGE = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A session that holds a slot, since when, and when it will have to end if it runs on."""

    gpu_uuid: str
    ask: Ask
    ends_at: datetime | None
    started_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long sessions lasted that ended lately, in order."""

    ms: tuple[int, ...] = ()

    def left_ms(self, ran_ms: int, part: float) -> int | None:
        """Return how much longer one lasts that has run so long: a quantile of those that did."""
        longer = [one for one in self.ms if one > ran_ms]
        if len(longer) < _LEAST_KNOWN:
            return None
        return longer[min(int(part * len(longer)), len(longer) - 1)] - ran_ms


_End: TypeAlias = tuple[datetime, int, str, Ask]


def forecast(
    line: Iterable[Waiter], running: Sequence[Running], lengths: Lengths, room: Room, *,
    now: datetime,
) -> dict[UUID, datetime]:  # fmt: skip
    """Tell for all in the line when it will be their turn; who is left out, nobody can tell.

    Without sessions to learn from, every session runs until its GPU-hours are used up.
    """
    order = in_order(line, room, now=now)
    is_large = len(order) * (len(running) + len(order)) > _LARGE
    plays = 1 if len(lengths.ms) < _LEAST_KNOWN else 3 if is_large else _PLAYS
    served: dict[UUID, list[datetime]] = {}
    for number in range(plays):
        play = _Play(room=room, lengths=lengths, phase=number / plays, line=order)
        play.begin(running, now)
        play.go_on(now)
        for lease_id, at in play.served.items():
            served.setdefault(lease_id, []).append(at)
    # Whoever is not served in a play is served after all that is seen of it.
    middle = plays // 2
    return {key: sorted(found)[middle] for key, found in served.items() if len(found) > middle}


@dataclass(slots=True, kw_only=True)
class _Play:
    """One way in which things may go on; its phase says which lengths are drawn."""

    room: Room
    lengths: Lengths
    phase: float
    line: list[Waiter]
    gpus: dict[str, GpuUse] = field(default_factory=dict)
    ends: list[_End] = field(default_factory=list)
    sessions: int = 0
    served: dict[UUID, datetime] = field(default_factory=dict)

    def begin(self, running: Sequence[Running], now: datetime) -> None:
        """Let the sessions that run end some time, and those in who fit now."""
        self.gpus = {gpu.uuid: gpu for gpu in self.room.gpus}
        self.ends = [(at, -1, _EDGE, Ask(0, 0)) for at in _edges(self.room, now)]
        self.sessions = len(running)
        for number, one in enumerate(running):
            at = _end_of(one, self.lengths, (number * _GOLDEN + self.phase) % 1, now)
            if at is not None and one.gpu_uuid in self.gpus:
                self.ends.append((at, number, one.gpu_uuid, one.ask))
        heapify(self.ends)
        self._serve(self.gpus, now)

    def go_on(self, now: datetime) -> None:
        """Let one session end after the other, and those in who fit then."""
        for _ in range(_MOST_ENDS):
            if not self.ends or not self.line:
                return
            at, _, uuid, ask = heappop(self.ends)
            if uuid != _EDGE:
                self.gpus[uuid] = release(self.gpus[uuid], ask)
            # Nobody of the line fitted anywhere before: who fits now, fits there.
            changed = self.gpus if uuid == _EDGE else {uuid: self.gpus[uuid]}
            self._serve(changed, max(at, now))

    def _serve(self, changed: Mapping[str, GpuUse], at: datetime) -> None:
        """Let everybody in who fits on the GPUs that have changed, in the order of the line."""
        walking, left = walk(self.room, at), []
        # The others are full for whoever waits, and may be kept free for somebody nevertheless.
        walking.gpus = dict(self.gpus)
        for waiter in self.line:
            free = {uuid: walking.gpus[uuid] for uuid in changed}
            slot = pick(free, waiter, self.room, now=at)
            if slot is None:
                walking.block(waiter)
                left.append(waiter)
                continue
            walking.gpus[slot.uuid] = occupy(slot, waiter.ask)
            self._start(waiter, slot.uuid, at)
        self.line = left

    def _start(self, waiter: Waiter, uuid: str, at: datetime) -> None:
        self.gpus[uuid] = occupy(self.gpus[uuid], waiter.ask)
        self.served[waiter.lease_id] = at
        self.sessions += 1
        ms = self.lengths.left_ms(0, (len(self.served) * _SILVER + self.phase) % 1)
        if ms is not None:
            end = at + timedelta(milliseconds=ms)
            heappush(self.ends, (end, self.sessions, uuid, waiter.ask))


def _edges(room: Room, now: datetime) -> set[datetime]:
    """Return when GPUs, or shares of them, begin or cease to be kept for somebody."""
    found = {at for times in room.kept.values() for one in times
             for at in (one.starts_at, one.ends_at)}  # fmt: skip
    found |= {at for shares in room.shares.values() for one in shares
              for at in (one.starts_at, one.ends_at)}  # fmt: skip
    return {at for at in found if at > now}


def _end_of(one: Running, lengths: Lengths, part: float, now: datetime) -> datetime | None:
    ran = now - (one.started_at or now)
    ms = lengths.left_ms(max(0, ran // timedelta(milliseconds=1)), part)
    if ms is None:
        return one.ends_at
    end = now + timedelta(milliseconds=ms)
    return end if one.ends_at is None else min(end, one.ends_at)
