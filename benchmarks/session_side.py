"""Facts for running sessions: an even pace of them, beside the hub's leases and a greedy session.

The service is a real process on a real database; a small hub beside it says whose a token is. 17
facts a second is what 500 sessions ask that look every 30 s. One session asks without end: what it
is refused is not counted, and it must not be felt by the others.
"""

import argparse
import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from uuid import UUID

import psutil

from api.session_side.place import PREFIX
from benchmarks.class_books import GPUS, SCHOLARS, class_yaml, live_on
from benchmarks.common import Figure, p99_figure, report
from benchmarks.fake_hub import fake_hub
from benchmarks.pages import LEASE_LIMIT_S, Admissions, Line, Times
from benchmarks.rigs import SESSION_PORT, Rig, rig, service
from tests.postgres import throwaway_postgres
from tests.session_side.side import session_scopes

LIMIT_S = 0.100
RATE_PER_S = 17
_CONNECTIONS = 8


def session_names(lab: Rig) -> list[str]:
    """Let the class use its GPUs, and name who has a session."""
    leases, books = live_on(lab), lab.books()
    found = [books.lease(UUID(one)).account for one in leases]
    books.engine.dispose()
    return sorted(found)


class Polls:
    """Sessions that ask for their facts in turn, each request as it becomes due."""

    def __init__(self, address: str, names: Sequence[str], times: Times) -> None:
        self._address = address
        self._names = names
        self._times = times
        self._due: queue.Queue[tuple[float, str] | None] = queue.Queue()

    def run(self, seconds: float) -> None:
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            work = [pool.submit(self._serve) for _ in range(_CONNECTIONS)]
            began = time.perf_counter()
            for number in range(int(seconds * RATE_PER_S)):
                due = began + number / RATE_PER_S
                time.sleep(max(0.0, due - time.perf_counter()))
                self._due.put((due, self._names[number % len(self._names)]))
            for _ in work:
                self._due.put(None)
            for one in work:
                one.result()

    def _serve(self) -> None:
        while (told := self._due.get()) is not None:
            due, name = told
            # A connection each, as short scripts and servers that look rarely have it.
            status, text = ask(Line(self._address), name)
            self._times.note("facts", time.perf_counter() - due)
            if status != 200:
                self._times.faults.append(f"{name}: {status} {text[:200]!r}")


def ask(line: Line, name: str) -> tuple[int, bytes]:
    status, _, text = line.ask("GET", f"{PREFIX}/facts", {"Authorization": f"token {name}"})
    return status, text


def be_greedy(address: str, name: str, stopped: threading.Event, found: dict[int, int]) -> None:
    """Ask as fast as one connection can, and count the answers by their status."""
    line = Line(address)
    while not stopped.is_set():
        status, _ = ask(line, name)
        found[status] = found.get(status, 0) + 1


def measure(database: str, seconds: float) -> tuple[list[Figure], Times]:
    """Ask for so long; the figures are one for the facts, and one for the leases."""
    times, stopped, greed = Times(), threading.Event(), dict[int, int]()
    with ExitStack() as stack:
        url = stack.enter_context(throwaway_postgres()) if database == "postgres" else None
        everybody = [name for names in SCHOLARS.values() for name in names]
        lab = stack.enter_context(rig(len(everybody), GPUS, url, text=class_yaml()))
        names = session_names(lab)
        scopes = {name: session_scopes(name) for name in names}
        lab.environment["GPULAB_HUB_API_URL"] = stack.enter_context(fake_hub(scopes))
        main_address, process = stack.enter_context(service(lab))
        cpu = psutil.Process(process.pid).cpu_times
        address = f"http://127.0.0.1:{lab.environment[SESSION_PORT]}"
        greedy = threading.Thread(target=be_greedy, args=(address, names[0], stopped, greed))
        admissions = Admissions(main_address, lab.headers, times)
        before = sum(cpu()[:2])
        greedy.start()
        Polls(address, names[1:], times).run(seconds)
        admissions.close()
        stopped.set()
        greedy.join()
        spent_ms = (sum(cpu()[:2]) - before) * 1000
        lab.check()
    count = sum(map(len, times.took_s.values())) + sum(greed.values())
    # Of all figures the one that other work on the machine changes least.
    print(f"{database}: {spent_ms / count:.1f} ms of processor time for each of {count} answers")
    print(f"{database}: the greedy session's answers by status: {greed}")
    return [_figure(database, kind, took) for kind, took in sorted(times.took_s.items())], times


def _figure(database: str, kind: str, took: list[float]) -> Figure:
    limit_s = LEASE_LIMIT_S if kind == "a lease" else LIMIT_S
    return p99_figure("session_side", f"{kind} ({database})", took, limit_s=limit_s)


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks session_side", description=__doc__)
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--seconds", type=float, default=60)
    chosen = parser.parse_args(words)
    figures, times = measure(chosen.database, chosen.seconds)
    for fault in times.faults[:10]:
        print("fault:", fault)
    status = report(max(figures, key=lambda one: one.ratio))
    return 1 if times.faults else status
