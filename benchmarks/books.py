"""The use cases of the books against the raw rate of durable three-row commits, side by side.

Clients are processes; each admits and ends sessions of its own scholars, which are the writes that
a scholar waits for. Blocks of both kinds of work alternate in one run, so that a machine that is
busy for a while slows both. Renewals are the worker's: one statement for all leases that are still
running. Every ratio is printed; the last line has the one that is furthest from its target.
"""

import argparse
import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from uuid import UUID, uuid4

from benchmarks.common import Figure, median, report
from benchmarks.raw import make_tables, raw_commits
from benchmarks.rigs import Rig, rig
from quota.clock import SystemClock
from quota.desk import open_desk
from quota.lab_file import load_lab
from quota.leases import LeaseRequest
from quota.service import Books
from quota.store import reads, writes
from quota.store.engine import open_engine, reading, transaction
from tests.postgres import throwaway_postgres

# Shares of the raw rate, by database and clients.
TARGETS = {("sqlite", 1): 0.25, ("sqlite", 8): 0.25, ("postgres", 1): 0.5, ("postgres", 8): 0.2}
RENEWALS_PER_S = 5000
_SHARERS = 64
_MOST_SCHOLARS = 8_000


class Client:
    """A process with a connection of its own that works for a while when told to."""

    def __init__(self, lab: Rig, number: int, scholars: range) -> None:
        context = multiprocessing.get_context("fork")
        self.mine, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(
            target=_serve, args=(lab, number, scholars, theirs)
        )
        self.process.start()

    def tell(self, kind: str, until: float) -> None:
        self.mine.send((kind, until))

    def done(self) -> int:
        found: int = self.mine.recv()
        return found

    def close(self) -> None:
        if self.process.is_alive():
            self.mine.send(None)
        self.process.join(30)


def _serve(lab: Rig, number: int, scholars: range, parent: Connection) -> None:
    status = 1
    try:
        books = Books(open_engine(lab.url), load_lab(lab.folder / "lab.yaml"), SystemClock())
        with raw_commits(lab.url, lab.folder, number) as commit:
            works = {"raw": commit, "books": _admissions_and_ends(books, iter(scholars))}
            while (told := parent.recv()) is not None:
                kind, until = told
                count = 0
                while time.monotonic() < until:
                    works[kind]()
                    count += 1
                parent.send(count)
        books.engine.dispose()
        status = 0
    except Exception:  # noqa: BLE001  # the process ends below, whatever it was
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        # Not back into the benchmark that this process was forked from.
        os._exit(status)


def _admissions_and_ends(books: Books, scholars: Iterator[int]) -> Callable[[], None]:
    """Return what admits a session of the next scholar, or ends the one admitted last."""
    last: list[UUID] = []

    def work() -> None:
        if last:
            books.stop_lease(last.pop(), "person")
            return
        lease_id = uuid4()
        wanted = LeaseRequest(hub_id="main", account=f"s{next(scholars)}", server_name="",
                              flavor="gpu", image="base")  # fmt: skip
        # With several clients another may have taken the slot between look and grip: the answer
        # is to wait, and the hub asks again.
        while books.request_lease(lease_id, wanted).lease.state != "held":
            pass
        last.append(lease_id)

    return work


@contextmanager
def clients(lab: Rig, count: int) -> Iterator[list[Client]]:
    share = _MOST_SCHOLARS // count
    some = [Client(lab, n + 1, range(n * share, (n + 1) * share)) for n in range(count)]
    try:
        yield some
    finally:
        for one in some:
            one.close()


def rate(some: list[Client], kind: str, seconds: float) -> float:
    until = time.monotonic() + seconds
    for one in some:
        one.tell(kind, until)
    return sum(one.done() for one in some) / seconds


def compare(lab: Rig, count: int, blocks: int, seconds: float) -> tuple[float, float]:
    """Return the median rates of the books and of raw commits."""
    found: dict[str, list[float]] = {"books": [], "raw": []}
    with clients(lab, count) as some:
        for kind in found:
            rate(some, kind, seconds / 2)
        for _ in range(blocks):
            for kind, rates in found.items():
                rates.append(rate(some, kind, seconds))
    return median(found["books"]), median(found["raw"])


def open_accounts(lab: Rig) -> None:
    """Give everybody the week's hours, as after the first visit of each."""
    books = lab.books()
    with transaction(books.engine) as tx:
        for number in range(_MOST_SCHOLARS):
            open_desk(tx, books.lab, "main", f"s{number}", now=books.clock.now())
    books.engine.dispose()


def renewals(lab: Rig) -> float:
    """Let the worker's statement renew all leases that are open, some times."""
    engine = open_engine(lab.url)
    with reading(engine) as tx:
        open_leases = [one for some in reads.all_open_leases(tx, "main").values() for one in some]
    rates, now = [], SystemClock().now()
    for number in range(5):
        until = now + timedelta(seconds=15 * number)
        began = time.perf_counter()
        with transaction(engine, step="tick_seen") as tx:
            writes.mark_seen(tx, [(lease.id, until) for lease in open_leases])
        rates.append(len(open_leases) / (time.perf_counter() - began))
    engine.dispose()
    return median(rates)


def measure(name: str, count: int, blocks: int, seconds: float) -> list[Figure]:
    """Measure one database with so many clients, on books of their own."""
    with ExitStack() as stack:
        url = stack.enter_context(throwaway_postgres()) if name == "postgres" else None
        lab = stack.enter_context(rig(_MOST_SCHOLARS, _MOST_SCHOLARS // _SHARERS + 1, url))
        make_tables(lab.url, lab.folder, clients=count)
        open_accounts(lab)
        ours, raw = compare(lab, count, blocks, seconds)
        renewed = renewals(lab)
        lab.check()
    target = TARGETS[name, count]
    print(f"{name}, {count} client(s): {ours:,.0f} use cases/s, {raw:,.0f} raw/s, "
          f"{ours / raw:.2f} of it (at least {target})")  # fmt: skip
    print(f"{name}: {renewed:,.0f} renewals/s (at least {RENEWALS_PER_S:,})")
    return [
        Figure(bench="books", value=ours, unit=f"use cases/s {name} x{count}", limit=raw,
               ratio=ours / raw, target=target, ok=ours / raw >= target),
        Figure(bench="books", value=renewed, unit=f"renewals/s {name}", limit=RENEWALS_PER_S,
               ratio=renewed / RENEWALS_PER_S, target=1, ok=renewed >= RENEWALS_PER_S),
    ]  # fmt: skip


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks books", description=__doc__)
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=3, help="length of a block")
    parser.add_argument("--only", choices=("sqlite", "postgres"))
    chosen = parser.parse_args(words)
    figures = [
        figure
        for name, count in TARGETS
        if chosen.only in (None, name)
        for figure in measure(name, count, chosen.blocks, chosen.seconds)
    ]
    return report(min(figures, key=lambda one: one.ratio / one.target))
