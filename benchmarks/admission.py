"""Durable admissions over HTTP against the raw rate of durable three-row commits, side by side.

The raw rate is plain SQL on the same kind of database in the same run: what one admission could
cost at the very least (a lease, a ledger entry, an account). Blocks of both alternate, so that a
machine that is busy for a while slows both. Then: p99 at 20 admissions a second.
"""

import argparse
import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from uuid import uuid4

import psutil

from benchmarks.common import Figure, median, percentile, report
from benchmarks.raw import Commit, make_tables, raw_commits
from benchmarks.rigs import Rig, rig, service

TARGET_RATIO = 0.12
P99_LIMIT_S = 0.050
RATE_PER_S = 20
_SHARERS = 64
_WARM_UP = 50


class Client:
    """One keep-alive connection with the hub's token; each admission is of another scholar."""

    def __init__(self, url: str, rig: Rig) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        self._headers = rig.headers | {"Content-Type": "application/json"}
        self._next = 0

    def admit(self) -> None:
        wanted = {"hub_id": "main", "account": f"s{self._next}", "server_name": "",
                  "flavor": "gpu", "image": "base"}  # fmt: skip
        self._next += 1
        self._connection.request("PUT", f"/v1/leases/{uuid4()}", json.dumps(wanted), self._headers)
        reply = self._connection.getresponse()
        body = json.loads(reply.read())
        assert (reply.status, body.get("state")) == (200, "held"), body

    def close(self) -> None:
        self._connection.close()


def rate_of(work: Callable[[], None], count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        work()
    return count / (time.perf_counter() - began)


def latencies(work: Callable[[], None], count: int) -> list[float]:
    """Work at an even pace, whatever the work takes."""
    began, took = time.perf_counter(), []
    for number in range(count):
        time.sleep(max(0.0, began + number / RATE_PER_S - time.perf_counter()))
        start = time.perf_counter()
        work()
        took.append(time.perf_counter() - start)
    return took


@contextmanager
def _raw_commits(lab: Rig) -> Iterator[Commit]:
    make_tables(lab.url, lab.folder)
    with raw_commits(lab.url, lab.folder) as commit:
        yield commit


def measure(blocks: int, block: int, paced: int, url: str | None) -> int:
    scholars = blocks * block + paced + _WARM_UP
    with (
        rig(scholars, gpus=scholars // _SHARERS + 1, url=url) as lab,
        _raw_commits(lab) as commit,
        service(lab) as (address, process),
    ):
        client = Client(address, lab)
        rate_of(client.admit, _WARM_UP)
        rate_of(commit, _WARM_UP)
        admitted, raw = [], []
        cpu = psutil.Process(process.pid).cpu_times
        before = sum(cpu()[:2])
        for number in range(blocks):
            admitted.append(rate_of(client.admit, block))
            raw.append(rate_of(commit, block))
            print(f"block {number + 1}: {admitted[-1]:.0f} admissions/s, {raw[-1]:.0f} raw/s")
        spent_ms = (sum(cpu()[:2]) - before) / (blocks * block) * 1000
        took = latencies(client.admit, paced)
        client.close()
        lab.check()
    print(f"the service took {spent_ms:.1f} ms of processor time for each admission")
    p99 = percentile(took, 0.99)
    print(f"at {RATE_PER_S}/s: p50 {median(took) * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms "
          f"(at most {P99_LIMIT_S * 1000:.0f})")  # fmt: skip
    ratio = median(admitted) / median(raw)
    return report(Figure(bench="admission", value=median(admitted), unit="admissions/s",
                         limit=median(raw), ratio=ratio, target=TARGET_RATIO,
                         ok=ratio >= TARGET_RATIO and p99 <= P99_LIMIT_S))  # fmt: skip


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks admission", description=__doc__)
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--block", type=int, default=140, help="admissions in a block")
    parser.add_argument("--paced", type=int, default=200, help="admissions at the even pace")
    parser.add_argument("--url", help="an empty PostgreSQL database; else SQLite")
    chosen = parser.parse_args(words)
    return measure(chosen.blocks, chosen.block, chosen.paced, chosen.url)
