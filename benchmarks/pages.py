"""Every page under load: 500 scholars, 20 pages a second, while the hub asks for leases.

The service is a real process on a real database; a small hub beside it says who people are. Pages
are asked for at an even pace whatever they take, by different people each time, and a request
that had to wait for its turn counts from when it was due.
"""

import argparse
import http.client
import json
import queue
import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import uuid4

import psutil
from fastapi.routing import APIRoute

from api.pages import assets, sign_in
from api.pages.addresses import PREFIX
from api.pages.app import ROUTERS
from benchmarks.class_books import GPUS, SCHOLARS, TAS, class_yaml, live_on
from benchmarks.common import Figure, p99_figure, report
from benchmarks.fake_hub import fake_hub
from benchmarks.rigs import rig, service
from tests.postgres import throwaway_postgres

LIMIT_S = 0.300
# What the service promises at its rush (promise P48); here it draws pages besides.
LEASE_LIMIT_S = 0.300
RATE_PER_S = 20
LEASES_PER_S = 2
_CONNECTIONS = 16
_HUB_LINES = 4
_WARM_UP_S = 5


@dataclass(frozen=True)
class Visit:
    """One page to be asked for: by whom, under which address; `page` is its kind."""

    page: str
    who: str
    path: str


@dataclass
class Times:
    """How long answers took, by kind of page, and what went wrong."""

    took_s: dict[str, list[float]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def note(self, kind: str, took_s: float) -> None:
        self.took_s.setdefault(kind, []).append(took_s)


class Line:
    """A keep-alive connection to the service."""

    def __init__(self, address: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)

    def ask(
        self, method: str, path: str, headers: dict[str, str], body: str | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        self._connection.request(method, path, body, headers)
        reply = self._connection.getresponse()
        return reply.status, reply.headers, reply.read()


def kinds() -> list[str]:
    """Name every page that can be looked at, as the application routes it."""
    found = []
    for router in ROUTERS:
        if router not in (assets.router, sign_in.router):
            found += [one.path for one in router.routes
                      if isinstance(one, APIRoute) and "GET" in (one.methods or ())]  # fmt: skip
    return found


def visit_of(kind: str, chance: random.Random, leases: Sequence[str]) -> Visit | None:
    """Let somebody who may look at a page do so; None for a page that needs more than that."""
    # Every second look at a section is at the big one.
    section = "all" if chance.random() < 0.5 else chance.choice(list(SCHOLARS))
    scholar = chance.choice(SCHOLARS[section])
    first = kind.strip("/").partition("/")[0]
    # A form for a new due date, and one for a section that there is.
    is_entry = kind.endswith("/edit/{kind_name}/{name}")
    parts = {"section": section, "scholar": scholar, "form": "csv",
             "kind_name": "sections" if is_entry else "due-dates",
             "name": section if is_entry else scholar,
             "lease_id": chance.choice(leases)}  # fmt: skip
    path = kind
    for name, value in parts.items():
        path = path.replace(f"{{{name}}}", value)
    if "{" in path:
        return None
    who = {"section": TAS[section], "program": "olga"}.get(first, scholar)
    return Visit(page=kind, who=who, path=f"{PREFIX}{path}")


def all_visits(count: int, chance: random.Random, leases: Sequence[str]) -> list[Visit]:
    """Plan so many visits, each kind of page as often as the others, in any order."""
    pages = [one for one in kinds() if visit_of(one, chance, leases) is not None]
    print("not measured:", ", ".join(sorted(set(kinds()) - set(pages))) or "nothing")
    plan = [pages[number % len(pages)] for number in range(count)]
    chance.shuffle(plan)
    return [one for kind in plan if (one := visit_of(kind, chance, leases)) is not None]


def signed_in(address: str, people: Sequence[str]) -> dict[str, str]:
    """Sign people in as their browsers would; return their cookies."""
    line, found = Line(address), {}
    for name in people:
        _, headers, _ = line.ask("GET", f"{PREFIX}/sign-in", {})
        state = parse_qs(urlsplit(headers["Location"]).query)["state"][0]
        query = urlencode({"code": name, "state": state})
        begun = {"Cookie": _cookie(headers, "gpulab-sign-in=")}
        status, headers, text = line.ask("GET", f"{PREFIX}/oauth_callback?{query}", begun)
        assert status == 303, text
        found[name] = _cookie(headers, "gpulab=")
    return found


def _cookie(headers: http.client.HTTPMessage, start: str) -> str:
    given = headers.get_all("Set-Cookie") or []
    return next(one.partition(";")[0] for one in given if one.startswith(start))


class Load:
    """Workers that look at pages as they become due."""

    def __init__(self, address: str, cookies: dict[str, str], times: Times) -> None:
        self._address = address
        self._cookies = cookies
        self._times = times
        self._due: queue.Queue[tuple[float, Visit] | None] = queue.Queue()
        self._pool = ThreadPoolExecutor(_CONNECTIONS)
        self._work = [self._pool.submit(self._serve) for _ in range(_CONNECTIONS)]

    def run(self, visits: Sequence[Visit]) -> None:
        """Ask at an even pace."""
        began = time.perf_counter()
        for number, visit in enumerate(visits):
            due = began + number / RATE_PER_S
            time.sleep(max(0.0, due - time.perf_counter()))
            self._due.put((due, visit))

    def close(self) -> None:
        for _ in self._work:
            self._due.put(None)
        for one in self._work:
            one.result()
        self._pool.shutdown()

    def _serve(self) -> None:
        line = Line(self._address)
        while (told := self._due.get()) is not None:
            due, visit = told
            status, _, _ = line.ask("GET", visit.path, {"Cookie": self._cookies[visit.who]})
            self._times.note(visit.page, time.perf_counter() - due)
            if status not in (200, 303):
                self._times.faults.append(f"{visit.path} as {visit.who}: {status}")


class Admissions:
    """The hub asks for leases, each of another scholar, at an even pace on some connections."""

    def __init__(self, address: str, headers: dict[str, str], times: Times) -> None:
        self._address = address
        self._headers = headers | {"Content-Type": "application/json"}
        self._times = times
        self._began = time.perf_counter()
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(number,)) for number in range(_HUB_LINES)
        ]
        for one in self._threads:
            one.start()

    def close(self) -> None:
        self._stopped.set()
        for one in self._threads:
            one.join()

    def _ask(self, first: int) -> None:
        line = Line(self._address)
        people = [name for names in SCHOLARS.values() for name in reversed(names)]
        for number in range(first, len(people), _HUB_LINES):
            due = self._began + number / LEASES_PER_S
            if self._stopped.wait(max(0.0, due - time.perf_counter())):
                return
            wanted = {"hub_id": "main", "account": people[number], "server_name": "bench",
                      "flavor": "gpu", "image": "base"}  # fmt: skip
            status, _, text = line.ask("PUT", f"/v1/leases/{uuid4()}", self._headers,
                                       json.dumps(wanted))  # fmt: skip
            self._times.note("a lease", time.perf_counter() - due)
            if status != 200:
                self._times.faults.append(f"a lease: {status} {text[:200]!r}")


def measure(database: str, seconds: float, seed: int) -> tuple[list[Figure], Times]:
    """Look at all pages for so long; the figures are one for each page, and the leases."""
    chance, times = random.Random(seed), Times()
    everybody = [name for names in SCHOLARS.values() for name in names]
    with ExitStack() as stack:
        url = stack.enter_context(throwaway_postgres()) if database == "postgres" else None
        lab = stack.enter_context(rig(len(everybody), GPUS, url, text=class_yaml()))
        leases = live_on(lab)
        visits = all_visits(int(seconds * RATE_PER_S), chance, leases)
        # One organizer looks at everything here, faster than one person may.
        lab.environment["GPULAB_REQUESTS_PER_S"] = "0"
        lab.environment["GPULAB_HUB_API_URL"] = stack.enter_context(
            fake_hub({"olga": ["custom:gpulab:admin"]})
        )
        address, process = stack.enter_context(service(lab))
        cookies = signed_in(address, [*everybody, *TAS.values(), "olga"])
        warm = Load(address, cookies, Times())
        warm.run(visits[: _WARM_UP_S * RATE_PER_S])
        warm.close()
        load = Load(address, cookies, times)
        cpu = psutil.Process(process.pid).cpu_times
        before = sum(cpu()[:2])
        admissions = Admissions(address, lab.headers, times)
        load.run(visits)
        load.close()
        admissions.close()
        spent_ms = (sum(cpu()[:2]) - before) * 1000
        lab.check()
    count = sum(len(took) for took in times.took_s.values())
    # Of all figures the one that other work on the machine changes least.
    print(f"{database}: {spent_ms / count:.1f} ms of processor time for each of {count} answers")
    return [_figure(database, kind, took) for kind, took in sorted(times.took_s.items())], times


def _figure(database: str, kind: str, took: list[float]) -> Figure:
    limit_s = LEASE_LIMIT_S if kind == "a lease" else LIMIT_S
    return p99_figure("pages", f"{kind} ({database})", took, limit_s=limit_s)


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks pages", description=__doc__)
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(words)
    figures, times = measure(chosen.database, chosen.seconds, chosen.seed)
    for fault in times.faults[:10]:
        print("fault:", fault)
    worst = max(figures, key=lambda one: one.ratio)
    status = report(worst)
    return 1 if times.faults else status
