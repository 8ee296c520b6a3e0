"""What a scrape costs: 10,000 accounts and 1,000 sessions, then ten times the accounts.

The service runs as a process and is asked over loopback, as Prometheus asks. Sessions are admitted
and seen by the books' own code; the other accounts are written as rows, each with its allowance.
The count of the sections, which the worker takes beside its ticks, is timed apart: it is what
grows with the accounts.
"""

import argparse
import re
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from uuid import uuid4

import httpx2
import psutil
from sqlalchemy import insert

from benchmarks.common import Figure, median, percentile, report
from benchmarks.rigs import Rig, rig, service
from quota.amount import GpuTime
from quota.census import take_census
from quota.chain import GENESIS
from quota.leases import LeaseRequest
from quota.observed import Observed
from quota.service import Books
from quota.store.engine import transaction
from quota.store.tables import accounts, lots

ADDRESSES = ("/metrics", "/metrics/details")
SECTIONS, SESSIONS, GPUS, SHARERS = 20, 1_000, 125, 8
LIMIT_MS, MOST_SERIES = 100.0, 400
# The same cost: within what two runs of the same differ.
_MOST_GROWTH = 1.5
_TIMES = 40
_AT_ONCE = 5_000
_HOURS = GpuTime.hours(100)


def lab_yaml() -> str:
    """Write a lab in which those who run sessions are listed; all others sign up by themselves."""
    each = SESSIONS // SECTIONS
    sections = "\n".join(
        f"  sec{number}: {{time_zone: UTC, hours_per_week: 100, scholars: "
        f"[{', '.join(f's{one}' for one in range(number * each, (number + 1) * each))}]}}"
        for number in range(SECTIONS)
    )
    return f"""
name: Bench
default_section: sec0
sections:
{sections}
flavors:
  cpu: {{title: CPU, weight_mgpu: 0}}
  part: {{title: Part, weight_mgpu: 125, share_mgpu: 125, memory_mib: 2048}}
  whole: {{title: Whole, weight_mgpu: 1000, share_mgpu: 1000, memory_mib: 16384}}
images:
  base: {{title: Base, docker: "gpulab/base:latest"}}
gpus:
  mode: declared
  declared: [{{name: GPU, memory_mib: 16384, count: {GPUS}}}]
  max_sharers: {SHARERS}
policy: {{max_spawning: 1000}}
"""


def fill(books: Books, people: int) -> None:
    """Let the first thousand run sessions, and all others have an account."""
    seen, started = [], books.clock.now()
    for number in range(SESSIONS):
        wanted = LeaseRequest(hub_id="main", account=f"s{number}", server_name="", flavor="part",
                              image="base")  # fmt: skip
        view = books.request_lease(uuid4(), wanted)
        assert view.lease.state == "held", view
        seen.append(Observed(ref=f"c-{number}", lease_id=view.lease.id, hub_id="main",
                             account=f"s{number}", server_name="", flavor="part",
                             started_at=started, finished_at=None, exit_code=None))  # fmt: skip
    books.tick(seen, seen_at=books.clock.now())
    begin = started.replace(hour=0, minute=0, second=0, microsecond=0)
    begin -= timedelta(days=begin.weekday())
    end = begin + timedelta(days=7)
    for start in range(SESSIONS, people, _AT_ONCE):
        some = range(start, min(start + _AT_ONCE, people))
        with transaction(books.engine) as tx:
            tx.execute(insert(accounts), [
                {"id": 10_000_000 + one, "hub_id": "main", "kind": "scholar", "name": f"s{one}",
                 "posted": _HOURS, "held": GpuTime.ZERO, "debt": GpuTime.ZERO, "seq": 1,
                 "head": GENESIS, "allowance_from": begin} for one in some
            ])  # fmt: skip
            tx.execute(insert(lots), [
                {"id": uuid4(), "account_id": 10_000_000 + one, "source": "allowance",
                 "amount": _HOURS, "remaining": _HOURS, "starts_at": begin, "ends_at": end,
                 "author": "", "reason": "", "closed_at": None} for one in some
            ])  # fmt: skip


def timed_ms(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def scraped(lab: Rig, people: int) -> dict[str, float]:
    """Ask both addresses; return times, the service's processor time, and how many series."""
    found: dict[str, float] = {}
    with (
        service(lab) as (url, process),
        httpx2.Client(base_url=url, timeout=30, trust_env=False) as to,
    ):
        cpu = psutil.Process(process.pid).cpu_times
        for path in ADDRESSES:
            text = to.get(path).text
            series = len(re.findall(r"^gpulab_", text, re.MULTILINE))
            before = sum(cpu()[:2])
            took = [timed_ms(partial(to.get, path)) for _ in range(_TIMES)]
            busy = (sum(cpu()[:2]) - before) * 1000 / _TIMES
            found |= {f"{path} p99": percentile(took, 0.99), f"{path} busy": busy,
                      f"{path} series": series}  # fmt: skip
            print(f"{people:,} accounts, {SESSIONS:,} sessions: {path}: p50 {median(took):.1f}, "
                  f"p99 {percentile(took, 0.99):.1f} ms, of which {busy:.1f} ms of processor "
                  f"time, {series} series", flush=True)  # fmt: skip
    return found


def measure(people: int) -> dict[str, float]:
    with rig(people, GPUS, text=lab_yaml()) as lab:
        books = lab.books()
        fill(books, people)
        began = time.process_time()
        census_ms = timed_ms(lambda: take_census(books))
        busy_ms = (time.process_time() - began) * 1000
        print(f"{people:,} accounts: the count of the sections took {census_ms:.0f} ms "
              f"({busy_ms:.0f} ms of processor time)", flush=True)  # fmt: skip
        books.engine.dispose()
        return scraped(lab, people)


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks metrics", description=__doc__)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=10, help="how many times the accounts then")
    chosen = parser.parse_args(words)
    small, large = measure(chosen.accounts), measure(chosen.accounts * chosen.times)
    # Of all figures the one that other work on the machine changes least.
    growth = max(large[f"{path} busy"] / small[f"{path} busy"] for path in ADDRESSES)
    worst = max(small[f"{path} p99"] for path in ADDRESSES)
    series = max(small["/metrics series"], large["/metrics series"])
    print(f"{chosen.times} times the accounts cost {growth:.2f} times; {series:.0f} series")
    ok = worst <= LIMIT_MS and series <= MOST_SERIES and growth <= _MOST_GROWTH
    return report(Figure(bench="metrics", value=worst, unit="ms p99 of a scrape", limit=LIMIT_MS,
                         ratio=worst / LIMIT_MS, target=1.0, ok=ok))  # fmt: skip
