"""How honest the told wait is: a simulated week, each first estimate against the wait that came.

A class of the example program meets too few GPUs. Whenever somebody comes into the line, the lab's
estimate is noted; whoever is served later shows how far off it was. Told for comparison: what one
would say without knowing how long sessions really last (until the GPU-hours are used up).

The figure is the median error (without its sign) under ours as a ratio to that of the comparison.
"""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from uuid import UUID

from benchmarks.common import Figure, percentile, report
from quota.clock import ManualClock, ms_between
from quota.endings import closing, ending_of, runs_out_at
from quota.forecast import Lengths, Running, forecast
from quota.lab import Lab
from quota.lab_file import load_lab
from quota.placement import Ask
from quota.simulation.behaviour import Behaviour
from quota.simulation.memory import MemoryKeeper
from quota.simulation.run import Simulation
from quota.simulation.variants import for_planning, gpus_of, with_scholars
from quota.simulation.visits import draw_visits, span_of
from quota.store.reads import waiter_of
from quota.turns import room_of

_EXAMPLE = Path(__file__).parents[1] / "examples" / "mlss-2022.yaml"
_TODAY = datetime(2022, 6, 1, tzinfo=UTC)
_NEWEST = 200


class Watcher:
    """Notes what everybody is told who comes into the line, and when their turn came."""

    def __init__(self, keeper: MemoryKeeper) -> None:
        self.keeper = keeper
        self.told: dict[UUID, tuple[datetime, datetime | None, datetime | None]] = {}
        self.lengths: list[int] = []
        self._ends_seen = 0

    def look(self, _event: object) -> None:
        """Look at the line after a step."""
        keeper, now = self.keeper, self.keeper.clock.now()
        for lease in islice(keeper.ends.values(), self._ends_seen, None):
            if lease.started_at is not None and lease.ended_at is not None:
                self.lengths.append(ms_between(lease.started_at, lease.ended_at))
        self._ends_seen = len(keeper.ends)
        new = [key for key, one in keeper.waiting.items()
               if key not in self.told and one.gpu_uuid is None]  # fmt: skip
        if new:
            known = Lengths(tuple(sorted(self.lengths[-_NEWEST:])))
            ours, plain = (self._forecast(lengths, now) for lengths in (known, Lengths()))
            self.told |= {key: (now, ours.get(key), plain.get(key)) for key in new}

    def errors_min(self, which: int) -> list[float]:
        """Return by how many minutes each estimate was too high, of those who were served."""
        keeper, found = self.keeper, []
        leases = {key: one for holding in keeper.holdings.values()
                  for key, one in holding.leases.items()} | keeper.ends  # fmt: skip
        for key, told in self.told.items():
            guess, came_at = told[which], leases[key].held_at
            if isinstance(guess, datetime) and came_at is not None:
                found.append(ms_between(came_at, guess) / 60_000)
        return found

    def waits_min(self) -> list[float]:
        """Return how long those waited who were served."""
        ends = self.keeper.ends
        return [ms_between(told[0], at) / 60_000 for key, told in self.told.items()
                if key in ends and (at := ends[key].held_at) is not None]  # fmt: skip

    def _forecast(self, lengths: Lengths, now: datetime) -> dict[UUID, datetime]:
        keeper = self.keeper
        line = [waiter_of(one, keeper.holders[key].account.name)
                for key, one in keeper.waiting.items() if one.gpu_uuid is None]  # fmt: skip
        room = room_of(keeper.lab, tuple(keeper.gpus.values()), now)
        return forecast(line, self._running(now), lengths, room, now=now)

    def _running(self, now: datetime) -> list[Running]:
        found, lab = [], self.keeper.lab
        blackout = closing(lab, now)
        for holding in self.keeper.holdings.values():
            mine = list(holding.leases.values())
            if not any(one.gpu_uuid for one in mine):
                continue
            runs_out = runs_out_at(holding.account, mine, lab=lab, section=holding.section,
                                   now=now)  # fmt: skip
            for one in mine:
                if one.gpu_uuid is not None:
                    ending = ending_of(one, runs_out, blackout, lab)
                    found.append(Running(
                        gpu_uuid=one.gpu_uuid, ask=Ask(one.share_mgpu, one.memory_mib),
                        ends_at=ending.at if ending else None, started_at=one.started_at,
                    ))  # fmt: skip
        return found


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks waits", description=__doc__)
    parser.add_argument("--scholars", type=int, default=200)
    parser.add_argument("--gpus", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    chosen = parser.parse_args(words)
    lab = with_scholars(load_lab(_EXAMPLE), chosen.scholars)
    watchers = [simulate(lab, chosen.gpus, seed) for seed in range(1, chosen.seeds + 1)]
    waits = [one for watcher in watchers for one in watcher.waits_min()]
    print(f"{len(waits)} waits that ended with a session: median {percentile(waits, 0.5):.1f} "
          f"min, 95 of 100 within {percentile(waits, 0.95):.1f} min")  # fmt: skip
    ours, plain = (
        _show(name, [one for watcher in watchers for one in watcher.errors_min(which)])
        for name, which in (("ours", 1), ("until used up", 2))
    )
    return report(Figure(bench="waits", value=ours, unit="min", limit=plain, ratio=ours / plain,
                         target=1.0, ok=ours <= plain))  # fmt: skip


def simulate(lab: Lab, gpus: int, seed: int) -> Watcher:
    """Let a class go through the first week of the program."""
    visits = draw_visits(lab, Behaviour(), seed=seed, today=_TODAY, weeks=1)
    span = span_of(lab, today=_TODAY, weeks=1)
    clock = ManualClock(span.starts_at)
    keeper = MemoryKeeper(for_planning(lab), clock, gpus_of(lab, gpus))
    watcher = Watcher(keeper)
    Simulation(keeper, clock, visits, span=span, seed=seed,
               silent_s=lab.policy.waiter_timeout_s).run(watcher.look)  # fmt: skip
    return watcher


def _show(name: str, errors: Sequence[float]) -> float:
    sizes = [abs(one) for one in errors]
    found = percentile(sizes, 0.5)
    print(f"{name:14} {len(errors)} told: error p50 {found:.1f} min, p90 "
          f"{percentile(sizes, 0.9):.1f}; with its sign p50 {percentile(errors, 0.5):+.1f} "
          "(+ is told longer than it was)")  # fmt: skip
    return found
