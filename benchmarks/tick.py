"""One tick over many active leases: how long, and how it grows.

Two books, a tenth and the whole of the size, are ticked in turn in one run. Most sessions are
simply still running; each tick some have used up their hold, since they began at different times.
The worst case is shown too: all holds are used up in the same tick, as a minute after a class of
that size began. The observation of the runtime is made up here; what is measured is the books.

Beside the tick, what sessions do is written down: the time of a look in which little has changed,
and of one that begins a minute, when how busy each session keeps its GPU is written for all.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from benchmarks.common import Figure, median, report
from benchmarks.rigs import lab_yaml
from quota import requests
from quota.clock import ManualClock
from quota.desk import open_desk
from quota.gpu_use import SessionUse, minute_of
from quota.idling import Idling
from quota.lab_file import parse_lab
from quota.leases import LeaseRequest
from quota.observed import Observed
from quota.placement import GpuUse
from quota.service import Books
from quota.session_states import SessionState
from quota.store.engine import open_engine, transaction
from quota.store.migrate import upgrade

LIMIT_S = 2.0
GROWTH_LIMIT = 10.0
_SHARERS = 64
_NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
_TICK = timedelta(seconds=15)
_STEP_S = 600


@dataclass
class Class:
    """Books with sessions that are all running."""

    books: Books
    clock: ManualClock
    seen: list[Observed]

    def tick(self) -> float:
        self.clock.advance(_TICK)
        began = time.perf_counter()
        self.books.tick(self.seen, seen_at=self.clock.now())
        return time.perf_counter() - began


@contextmanager
def running_class(size: int, url: str | None) -> Iterator[Class]:
    """Admit and start so many sessions, spread over one hold step."""
    with tempfile.TemporaryDirectory(prefix="gpulab-bench-") as folder:
        engine = open_engine(url or f"sqlite:///{folder}/books.sqlite")
        upgrade(engine)
        clock = ManualClock(_NOON)
        lab = parse_lab(lab_yaml(size, 1), "lab.yaml")
        policy = lab.policy.model_copy(update={"max_spawning": size + 1})
        books = Books(engine, lab.model_copy(update={"policy": policy}), clock)
        books.set_inventory(
            GpuUse(uuid=f"GPU-{n}", name="GPU", kind="virtual", memory_mib=16384, in_service=True,
                   used_mgpu=0, used_mib=0, sharers=0) for n in range(size // _SHARERS + 1)
        )  # fmt: skip
        found = Class(books, clock, [])
        _admit(found, size)
        yield found
        faults = books.check()
        engine.dispose()
        assert not faults, faults[:3]


def _admit(found: Class, size: int) -> None:
    """Like the use case, many to a transaction: only the state that results is wanted."""
    books = found.books
    with transaction(books.engine) as tx:
        for number in range(size):
            name, lease_id = f"s{number}", uuid4()
            desk = open_desk(tx, books.lab, "main", name, now=_NOON)
            wanted = LeaseRequest(hub_id="main", account=name, server_name="", flavor="gpu",
                                  image="base")  # fmt: skip
            asked = requests.request(desk, lease_id, wanted, present=True)
            assert asked.lease.state == "held", asked
            started_at = _NOON + timedelta(seconds=_STEP_S * number / size)
            found.seen.append(Observed(
                ref=f"c-{number}", lease_id=lease_id, hub_id="main", account=name,
                server_name="", flavor="gpu", started_at=started_at.replace(microsecond=0),
                finished_at=None, exit_code=None,
            ))  # fmt: skip
    found.clock.set(_NOON + timedelta(seconds=_STEP_S))
    found.books.tick(found.seen, seen_at=found.clock.now())


def all_at_once(found: Class) -> float:
    """Let so much time pass unseen that every hold is used up, then tick."""
    found.clock.advance(timedelta(seconds=_STEP_S))
    return found.tick()


def looks(found: Class, count: int) -> dict[str, float]:
    """Look at all sessions every 15 seconds; return the times by what had to be written."""
    idling = Idling(found.books)
    took: dict[str, list[float]] = {"nothing": [], "every session": []}
    leases = [one.lease_id for one in found.seen if one.lease_id is not None]
    state = SessionState(state="training", since=found.clock.now())
    uses: dict[UUID, SessionUse] = {}
    for number in range(count):
        found.clock.advance(_TICK)
        now = found.clock.now()
        begins = number and all(minute_of(one.seen_at) != minute_of(now) for one in uses.values())
        for lease_id in leases:
            told = {"busy_percent": 60, "held_mib": 900}
            uses[lease_id] = (
                uses[lease_id].at(now, **told, mean=60, between=60) if number
                else SessionUse(seen_at=now, minutes=(60,), **told)
            )  # fmt: skip
        began = time.perf_counter()
        idling.note(dict.fromkeys(uses, state), uses)
        if number:
            took["every session" if begins else "nothing"].append(time.perf_counter() - began)
    return {what: median(some) for what, some in took.items()}


def measure(size: int, ticks: int, urls: tuple[str | None, str | None]) -> int:
    with running_class(size // 10, urls[0]) as small, running_class(size, urls[1]) as large:
        for one in (small, large):
            one.tick()
        took: dict[str, list[float]] = {"small": [], "large": []}
        for number in range(ticks):
            took["small"].append(small.tick())
            took["large"].append(large.tick())
            print(f"tick {number + 1}: {took['small'][-1]:.3f} s for {size // 10}, "
                  f"{took['large'][-1]:.3f} s for {size}")  # fmt: skip
        looked = looks(large, 17)
        worst = {size // 10: all_at_once(small), size: all_at_once(large)}
    for count, seconds in worst.items():
        print(f"all holds at once: {seconds:.3f} s for {count}, {count / seconds:,.0f} leases/s")
    for what, seconds in looked.items():
        print(f"a look at {size} sessions that writes {what}: {seconds:.3f} s")
    value, growth = median(took["large"]), median(took["large"]) / median(took["small"])
    print(f"growth from {size // 10} to {size}: {growth:.1f} times (at most {GROWTH_LIMIT:g})")
    # As a share of the limit, so that larger is better as everywhere.
    ratio = LIMIT_S * (size / 5000) / value
    return report(Figure(bench="tick", value=value, unit="s", limit=LIMIT_S, ratio=ratio,
                         target=1.0, ok=ratio >= 1 and growth <= GROWTH_LIMIT))  # fmt: skip


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks tick", description=__doc__)
    parser.add_argument("--leases", type=int, default=5000)
    parser.add_argument("--ticks", type=int, default=8)
    parser.add_argument("--urls", nargs=2, help="two empty PostgreSQL databases; else SQLite")
    chosen = parser.parse_args(words)
    return measure(chosen.leases, chosen.ticks, tuple(chosen.urls or (None, None)))
