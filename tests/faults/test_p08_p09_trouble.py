"""P08, P09: a database that hangs or whose disk is full, under a service, a worker and people."""

import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

import httpx2
import pytest
from sqlalchemy import select

from api.enforce import Enforcer
from api.worker import Worker
from api.worker_metrics import WorkerMetrics
from quota.amount import GpuTime
from quota.clock import SystemClock, ms_between
from quota.errors import BooksUnavailable
from quota.service import Books
from quota.store.engine import open_engine, reading
from quota.store.tables import leases
from tests.api.processes import HEADERS, ServiceProcess, lab_environment, service_process
from tests.api.runtime import FakeRuntime
from tests.faults.crashes import hanging, migrate, small_disk, start_if_gone, wait_until
from tests.faults.story import Gpus, Policy
from tests.postgres import throwaway_postgres
from tests.quota.books import LAB_YAML, Desk, make_lab

LAB = LAB_YAML + "policy: {tick_s: 1, sessions_per_scholar: 50}\n"
SCHOLARS = ("ada", "blaise", "chen", "dina")


@dataclass
class Reply:
    """What somebody was told, and after how long."""

    status: int
    took_s: float
    retry_after: str | None = None


@dataclass
class Living:
    """A lab in which sessions run: a service as a process, a worker as a thread."""

    url: str
    service: ServiceProcess
    folder: Path
    runtime: FakeRuntime = field(init=False)
    metrics: WorkerMetrics = field(default_factory=WorkerMetrics)
    replies: list[Reply] = field(default_factory=list)
    written: set[UUID] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.clock = SystemClock()
        self.engine = open_engine(self.url)
        self.desk = Desk(self.engine, make_lab(LAB), clock=self.clock)  # type: ignore[arg-type]
        self.runtime = FakeRuntime(self.clock.now)
        self.enforcer = Enforcer(self.runtime, lambda *_: False, hub_budget_s=0, grace_s=0,
                                 on_gone=lambda: None)  # fmt: skip
        policy = Policy()
        policy.lab = self.desk.lab
        self.worker = Worker(
            Books(self.engine, self.desk.lab, self.clock), self.runtime, self.enforcer, Gpus(),
            policy=policy, save_deadlines=lambda _: None, metrics=self.metrics,
        )  # fmt: skip

    def start(self, who: str) -> str:
        view = self.desk.ask(who, "quarter")
        self.desk.start(view)
        return self.runtime.run(self.desk.containers.pop(f"c-{view.lease.id}"))

    def ticks(self, outcome: str) -> float:
        labels = {"outcome": outcome}
        return self.metrics.registry.get_sample_value("gpulab_worker_ticks_total", labels) or 0

    def ask(self, client: httpx2.Client, who: str) -> Reply:
        """Ask for a CPU session under a new id, and for its end if it was given."""
        lease_id, began = uuid4(), time.monotonic()
        wanted = {"hub_id": "main", "account": who, "server_name": str(lease_id)[:8],
                  "flavor": "cpu", "image": "base"}  # fmt: skip
        place = f"{self.service.url}/v1/leases/{lease_id}"
        reply = client.put(place, json=wanted, headers=HEADERS, timeout=30)
        found = Reply(reply.status_code, time.monotonic() - began,
                      reply.headers.get("retry-after"))  # fmt: skip
        if reply.status_code == 200:
            self.written.add(lease_id)
            client.put(f"{place}/stop", json={"reason": "person"}, headers=HEADERS, timeout=30)
        else:
            assert reply.headers["content-type"] == "application/problem+json", reply.text
            assert reply.json()["code"] == "unavailable", reply.text
        self.replies.append(found)
        return found

    def status(self, path: str) -> Reply:
        began = time.monotonic()
        reply = httpx2.get(f"{self.service.url}/{path}", timeout=30)
        return Reply(reply.status_code, time.monotonic() - began)

    def metric(self, line: str) -> float:
        text = httpx2.get(f"{self.service.url}/metrics", timeout=30).text
        (found,) = [one for one in text.splitlines() if one.startswith(line + " ")]
        return float(found.rpartition(" ")[2])

    def load_until(self, until: float) -> None:
        """Let four people go on asking, and somebody look whether the service lives."""
        with ThreadPoolExecutor(len(SCHOLARS) + 1) as pool, httpx2.Client() as client:

            def ask_on(who: str) -> None:
                while time.monotonic() < until:
                    self.ask(client, who)

            def look_on() -> None:
                while time.monotonic() < until:
                    health = self.status("healthz")
                    assert health.status == 200
                    assert health.took_s <= 1.0
                    time.sleep(0.1)

            for one in [*(pool.submit(ask_on, who) for who in SCHOLARS), pool.submit(look_on)]:
                one.result()

    def end_well(self, refs: list[str]) -> None:
        """All goes on by itself; then each session is charged what the runtime recorded."""
        with httpx2.Client() as client:
            wait_until("people are admitted", lambda: self.ask(client, "ada").status == 200)
        wait_until("the service is ready", lambda: self.status("readyz").status == 200)
        done = self.ticks("done")
        wait_until("the worker goes on", lambda: self.ticks("done") > done)
        assert {how for how, _ in self.runtime.calls} <= {"observe", "remove"}, "none was stopped"
        ran = {ref: self.runtime.sessions[ref] for ref in refs}
        for ref in refs:
            self.runtime.end(ref)
            ran[ref] = self.runtime.sessions[ref]
        wait_until("all is posted", lambda: not self.runtime.sessions)
        for one in ran.values():
            assert one.started_at is not None
            assert one.finished_at is not None
            used = GpuTime.of(250, ms_between(one.started_at, one.finished_at))
            charges = self.desk.books.account(one.account).charges
            assert GpuTime.total(charge.amount for charge in charges) == used
        with reading(self.engine) as tx:
            assert self.written <= set(tx.execute(select(leases.c.id)).scalars())
        self.desk.check()


@contextmanager
def living(url: str, folder: Path) -> Iterator[Living]:
    with service_process(lab_environment(url, folder, LAB)) as service:
        lab, stopped = Living(url, service, folder), threading.Event()
        thread = threading.Thread(target=lab.worker.run, args=(stopped,))
        thread.start()
        try:
            yield lab
        finally:
            stopped.set()
            lab.worker.nudged.set()
            thread.join(timeout=30)
            lab.enforcer.close()
            lab.engine.dispose()


@pytest.mark.parametrize("lasts_s", [5, pytest.param(20, marks=pytest.mark.long)])
def test_p08_a_database_that_hangs_under_load_freezes_nobody(
    own_url: str, tmp_path: Path, lasts_s: int
) -> None:
    with living(own_url, tmp_path) as lab:
        refs = [lab.start(who) for who in SCHOLARS]
        wait_until("the worker has seen them", lambda: lab.ticks("done") >= 2)
        lab.load_until(time.monotonic() + 1)
        assert {one.status for one in lab.replies} == {200}
        lab.replies.clear()
        with hanging(own_url):
            lab.load_until(time.monotonic() + lasts_s)
            assert lab.status("readyz").status == 503
        assert {one.status for one in lab.replies} == {503}
        assert all(1 <= int(one.retry_after or 0) <= 5 for one in lab.replies)
        assert max(one.took_s for one in lab.replies) <= 5.0
        lab.end_well(refs)


def test_p08_the_books_themselves_give_up_in_time(own_url: str) -> None:
    """Nothing else bounds the worker, or a command."""
    engine = open_engine(own_url)
    desk = Desk(engine)
    with hanging(own_url):
        began = time.monotonic()
        with pytest.raises(BooksUnavailable):
            desk.ask()
        assert time.monotonic() - began < 7
    assert desk.ask().lease.state == "held"
    desk.check()
    engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def on_small_disk(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, Path]]:
    """New books on a disk of 64 MiB; PostgreSQL needs 40 of them, and 32 for its log."""
    is_sqlite = request.param == "sqlite"
    with small_disk(64 if is_sqlite else 128) as disk:
        if is_sqlite:
            url = f"sqlite:///{disk}/books.sqlite"
            migrate(url)
            yield url, disk
            return
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        with throwaway_postgres() as url:
            monkeypatch.undo()
            migrate(url)
            yield url, disk


@pytest.mark.timeout(900)
@pytest.mark.parametrize("lasts_s", [5, pytest.param(300, marks=pytest.mark.long)])
def test_p09_a_full_disk_is_survived_by_a_whole_lab(
    on_small_disk: tuple[str, Path], tmp_path: Path, lasts_s: int
) -> None:
    url, disk = on_small_disk
    with living(url, tmp_path) as lab, httpx2.Client() as client:
        refs = [lab.start(who) for who in SCHOLARS]
        wait_until("the worker has seen them", lambda: lab.ticks("done") >= 2)
        # What is free within the database's own files is used up first.
        ballast: list[Path] = []
        wait_until("all are refused", lambda: _all_refused(lab, client, disk, ballast),
                   within_s=120)  # fmt: skip
        failed, counted = lab.ticks("failed"), lab.metric(UNAVAILABLE)
        answers = Counter(_asked_for(lab, client, lasts_s))
        is_sqlite = url.startswith("sqlite")
        if is_sqlite:
            assert set(answers) == {(503, 503)}, answers
        # PostgreSQL overwrites where it has room in a file: then it says yes, and keeps its word.
        assert set(answers) <= {(503, 503), (503, 200), (200, 200)}, answers
        assert answers[503, 503] + answers[503, 200] > 0.9 * answers.total(), answers
        assert lab.metric(UNAVAILABLE) > counted
        assert lab.ticks("failed") > failed or not is_sqlite
        for one in ballast:
            one.unlink()
        if not is_sqlite:
            start_if_gone(url)
        lab.end_well(refs)


UNAVAILABLE = 'gpulab_requests_refused_total{code="unavailable"}'


def _asked_for(lab: Living, client: httpx2.Client, lasts_s: int) -> Iterator[tuple[int, int]]:
    """Ask for sessions, and whether the service is ready, in turn; tell both answers."""
    until = time.monotonic() + lasts_s
    while time.monotonic() < until:
        for who in SCHOLARS:
            yield lab.ask(client, who).status, lab.status("readyz").status
        assert lab.status("healthz").status == 200


def _all_refused(lab: Living, client: httpx2.Client, disk: Path, ballast: list[Path]) -> bool:
    ballast.append(fill(disk))
    return all(lab.ask(client, who).status == 503 for who in 3 * SCHOLARS)


def fill(disk: Path) -> Path:
    """Leave not one byte."""
    path = disk / f"ballast-{uuid4()}"
    try:
        with path.open("wb", buffering=0) as handle:
            while handle.write(bytes(4096)):
                pass
    except OSError:
        pass
    return path
