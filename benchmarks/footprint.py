"""Resident memory of the lab's processes, after their start and with 200 sessions.

The sessions are declared: the books know them and the worker sees them by their records, but no
notebook server runs. Each program is a part of its own; `--only` picks some.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx2
import psutil

from benchmarks.common import Figure, report
from benchmarks.rigs import Rig, rig, running, service
from lab.trial.running import RunningLab
from lab.trial.text import lab_text
from quota.leases import LeaseRequest

SESSIONS = 200
_MB = 1_000_000
# The worker's first pass and the service's first answers are behind it by then.
_SETTLE_S = 8.0


@contextmanager
def _service(lab: Rig) -> Iterator[tuple[int, Callable[[], None]]]:
    with (
        service(lab) as (url, process),
        httpx2.Client(base_url=url, headers=lab.headers) as client,
    ):

        def use() -> None:
            for number in range(SESSIONS):
                client.get(f"/v1/spawn-options/s{number}").raise_for_status()
            client.get("/metrics").raise_for_status()

        yield process.pid, use


@contextmanager
def _worker(lab: Rig) -> Iterator[tuple[int, Callable[[], None]]]:
    with running("api.worker", lab) as process:
        time.sleep(_SETTLE_S)
        yield process.pid, lambda: time.sleep(_SETTLE_S)


# name: (most megabytes, how it is run).
PARTS = {"service": (150, _service), "worker": (120, _worker)}
_HUB, _HUB_MOST_MB = "hub", 220


def declare(lab: Rig) -> None:
    """Let every scholar hold a session."""
    books = lab.books()
    for number in range(SESSIONS):
        wanted = LeaseRequest(hub_id="main", account=f"s{number}", server_name="",
                              flavor="gpu", image="base")  # fmt: skip
        assert books.request_lease(uuid4(), wanted).lease.state == "held"
    books.engine.dispose()


def resident_mb(pid: int) -> float:
    """Return the memory of a process and what it started."""
    process = psutil.Process(pid)
    return sum(one.memory_info().rss for one in [process, *process.children(recursive=True)]) / _MB


def measure_hub() -> tuple[float, float]:
    """Return the hub's megabytes after its start, and after 200 people have used its pages."""
    names = tuple(f"s{number:03d}" for number in range(SESSIONS))
    with (
        tempfile.TemporaryDirectory(prefix="gpulab-footprint-") as folder,
        RunningLab(Path(folder), text=lab_text(scholars=names, gpus=50)) as lab,
    ):
        before = resident_mb(lab.pid_of("hub"))
        for name in names:
            visitor = lab.logged_in(name)
            visitor.page("/hub/spawn")
            visitor.close()
        return before, resident_mb(lab.pid_of("hub"))


def measure(name: str) -> tuple[float, float]:
    """Return megabytes after the start, and with all sessions."""
    if name == _HUB:
        return measure_hub()
    _, run = PARTS[name]
    with rig(SESSIONS, gpus=4) as lab, run(lab) as (pid, use):
        before = resident_mb(pid)
        declare(lab)
        use()
        return before, resident_mb(pid)


def main(words: list[str]) -> int:
    limits = {name: most for name, (most, _) in PARTS.items()} | {_HUB: _HUB_MOST_MB}
    parser = argparse.ArgumentParser(prog="benchmarks footprint", description=__doc__)
    parser.add_argument("--only", nargs="*", choices=sorted(limits), default=sorted(limits))
    worst = None
    for name in parser.parse_args(words).only:
        limit = limits[name]
        before, after = measure(name)
        print(f"{name}: {before:.0f} MB after start, {after:.0f} MB with {SESSIONS} sessions "
              f"(at most {limit})")  # fmt: skip
        if worst is None or after / limit > worst[0]:
            worst = (after / limit, after, limit, name)
    assert worst is not None, "nothing measured"
    ratio, value, limit, name = worst
    return report(Figure(bench="footprint", value=value, unit=f"MB of {name}", limit=limit,
                         ratio=ratio, target=1.0, ok=ratio <= 1.0))  # fmt: skip
