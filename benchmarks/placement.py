"""A trace of GPU sessions on the lab's rules of placing: first fit, best fit, spread and ours.

The reader takes the columns of Alibaba's `openb_pod_list`; a generated sample ships. All four let
small sessions go first where a large one does not fit. Ours is best fit and in addition keeps a
GPU free for who has waited for a quarter of an hour, as the waiting line of the lab does.

taken: part of the GPUs in use while sessions arrive. splintered: part of the GPUs that is free
and that a session drawn from the trace could not use, since it is too small a rest. Waits are in
minutes; whole means sessions that ask for a whole GPU. The figure is how long those wait (95 of
100) under ours, as a ratio to best fit; more than the same is wrong.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from math import ceil
from pathlib import Path
from uuid import UUID

from benchmarks.common import Figure, percentile, report
from benchmarks.trace import SAMPLE, Session, Trace, read_trace, write_sample
from quota.lab_line import LinePolicy
from quota.placement import FULL_MGPU, Ask, GpuUse, fits, occupy, release
from quota.waiting import Room, Waiter, in_order, pick, walk

_START = datetime(2026, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_NEVER_MIN = 10_080
_MEMORY_MIB = 81_920

Chooser = Callable[[Mapping[str, GpuUse], Waiter, Room, datetime], GpuUse | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A way of placing: which GPU, and after how many minutes one is kept free."""

    name: str
    choose: Chooser
    placement: str
    block_after_min: int


def _first_fit(
    gpus: Mapping[str, GpuUse], waiter: Waiter, room: Room, _now: datetime
) -> GpuUse | None:
    return next((gpu for gpu in gpus.values() if fits(gpu, waiter.ask, room.max_sharers)), None)


def _by_rule(
    gpus: Mapping[str, GpuUse], waiter: Waiter, room: Room, now: datetime
) -> GpuUse | None:
    return pick(gpus, waiter, room, now=now)


WAYS = (
    Way(name="first fit", choose=_first_fit, placement="pack", block_after_min=_NEVER_MIN),
    Way(name="best fit", choose=_by_rule, placement="pack", block_after_min=_NEVER_MIN),
    Way(name="spread", choose=_by_rule, placement="spread", block_after_min=_NEVER_MIN),
    Way(name="ours", choose=_by_rule, placement="pack", block_after_min=15),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one way of placing made of a trace."""

    taken: float
    splintered: float
    waits_min: tuple[float, ...]
    whole_min: tuple[float, ...]


@dataclass(slots=True)
class Replay:
    """A trace on so many GPUs under one way of placing."""

    trace: Trace
    way: Way
    room: Room
    gpus: dict[str, GpuUse]
    line: list[Waiter] = field(default_factory=list)
    ends: list[tuple[int, str, Ask]] = field(default_factory=list)
    waits: dict[str, float] = field(default_factory=dict)
    taken_s: float = 0.0
    splintered_s: float = 0.0
    at_s: int = 0

    def run(self) -> Result:
        """Let every session come, wait, run and go."""
        sessions = self.trace.sessions
        by_id = {UUID(int=number): one for number, one in enumerate(sessions)}
        self.at_s = first = sessions[0].at_s
        for lease_id, one in by_id.items():
            self._let_end(one.at_s, by_id)
            self._go_to(one.at_s)
            self.line.append(Waiter(lease_id=lease_id, ask=_ask(one),
                                    requested_at=_START + one.at_s * _SECOND))  # fmt: skip
            self._serve(by_id)
        span = max(1, self.at_s - first) * len(self.gpus)
        result_taken, splintered = self.taken_s / span, self.splintered_s / span
        while self.ends:
            self._let_end(self.ends[0][0], by_id)
        whole = {one.name for one in sessions if one.share_mgpu == FULL_MGPU}
        return Result(
            taken=result_taken, splintered=splintered,
            waits_min=tuple(self.waits.values()),
            whole_min=tuple(wait for name, wait in self.waits.items() if name in whole),
        )  # fmt: skip

    def _let_end(self, until_s: int, by_id: Mapping[UUID, Session]) -> None:
        while self.ends and self.ends[0][0] <= until_s:
            at_s, uuid, ask = heappop(self.ends)
            self._go_to(at_s)
            self.gpus[uuid] = release(self.gpus[uuid], ask)
            if not self.ends or self.ends[0][0] > at_s:
                self._serve(by_id)

    def _serve(self, by_id: Mapping[UUID, Session]) -> None:
        now = _START + self.at_s * _SECOND
        walking, left = walk(self.room, now), []
        walking.gpus = dict(self.gpus)
        for waiter in in_order(self.line, self.room, now=now):
            slot = self.way.choose(walking.gpus, waiter, self.room, now)
            if slot is None:
                left.append(waiter)
                walking.block(waiter)
                continue
            one = by_id[waiter.lease_id]
            walking.gpus[slot.uuid] = self.gpus[slot.uuid] = occupy(slot, waiter.ask)
            heappush(self.ends, (self.at_s + one.lasts_s, slot.uuid, waiter.ask))
            self.waits[one.name] = (self.at_s - one.at_s) / 60
        self.line = left

    def _go_to(self, at_s: int) -> None:
        passed = at_s - self.at_s
        if passed > 0:
            used = [gpu.used_mgpu for gpu in self.gpus.values()]
            self.taken_s += passed * sum(used) / FULL_MGPU
            self.splintered_s += passed * _splintered(used, self.trace.sessions)
            self.at_s = at_s


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks placement", description=__doc__)
    parser.add_argument("--trace", type=Path, default=SAMPLE)
    parser.add_argument("--gpus", type=int, help="else so many that the trace fills them")
    parser.add_argument("--fill", type=float, default=0.85, help="how much of them it would use")
    parser.add_argument("--max-sharers", type=int, default=8)
    parser.add_argument("--write-sample", action="store_true", help="write the sample anew")
    chosen = parser.parse_args(words)
    if chosen.write_sample:
        write_sample()
    trace = read_trace(chosen.trace)
    first, last = trace.sessions[0].at_s, trace.sessions[-1].at_s
    gpus = chosen.gpus or ceil(trace.gpu_seconds / (last - first) / chosen.fill)
    print(f"{len(trace.sessions)} sessions in {(last - first) / 86_400:.1f} days on {gpus} GPUs; "
          f"left out: {', '.join(f'{n} {why}' for why, n in trace.left_out.items())}")  # fmt: skip
    results = {way.name: replay(trace, way, gpus, chosen.max_sharers) for way in WAYS}
    _show(results)
    ours, best = (percentile(results[name].whole_min, 0.95) for name in ("ours", "best fit"))
    ratio = ours / best if best else float(ours > 0)
    return report(Figure(bench="placement", value=ours, unit="min", limit=best, ratio=ratio,
                         target=1.0, ok=ratio <= 1.0))  # fmt: skip


def replay(trace: Trace, way: Way, gpus: int, max_sharers: int) -> Result:
    """Run a trace under one way of placing."""
    some = {
        f"GPU-{number:03d}": GpuUse(
            uuid=f"GPU-{number:03d}", name="GPU", kind="virtual", memory_mib=_MEMORY_MIB,
            in_service=True, used_mgpu=0, used_mib=0, sharers=0,
        ) for number in range(gpus)
    }  # fmt: skip
    rule = LinePolicy(block_after_min=way.block_after_min)
    room = Room(gpus=tuple(some.values()), max_sharers=max_sharers, rule=rule,
                placement="spread" if way.placement == "spread" else "pack")  # fmt: skip
    return Replay(trace, way, room, some).run()


def _ask(one: Session) -> Ask:
    # The trace has no GPU memory; flavors of a lab have as much of it as of the GPU.
    return Ask(one.share_mgpu, one.share_mgpu * _MEMORY_MIB // FULL_MGPU)


def _splintered(used: Sequence[int], sessions: Sequence[Session]) -> float:
    """Return how many GPUs' worth of free shares a session of the trace cannot use on average."""
    wanted = _larger_than(sessions)
    return sum((FULL_MGPU - one) / FULL_MGPU * wanted[FULL_MGPU - one] for one in used)


_SHARES: dict[int, list[float]] = {}


def _larger_than(sessions: Sequence[Session]) -> list[float]:
    """Return for each free share which part of the sessions asks for more."""
    found = _SHARES.get(id(sessions))
    if found is None:
        asks = [one.share_mgpu for one in sessions]
        found = [sum(ask > free for ask in asks) / len(asks) for free in range(FULL_MGPU + 1)]
        _SHARES[id(sessions)] = found
    return found


def _show(results: Mapping[str, Result]) -> None:
    print(f"{'':10} {'taken':>7} {'splintered':>11} {'wait p50':>9} {'p95':>7} {'mean':>7} "
          f"{'whole p50':>10} {'p95':>7} {'longest':>8}")  # fmt: skip
    for name, one in results.items():
        mean = sum(one.waits_min) / len(one.waits_min)
        print(f"{name:10} {one.taken:7.1%} {one.splintered:11.1%} "
              f"{percentile(one.waits_min, 0.5):9.1f} {percentile(one.waits_min, 0.95):7.1f} "
              f"{mean:7.1f} {percentile(one.whole_min, 0.5):10.1f} "
              f"{percentile(one.whole_min, 0.95):7.1f} {max(one.whole_min):8.1f}")  # fmt: skip
