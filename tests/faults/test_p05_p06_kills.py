"""P05, P06: whatever is killed at whatever instant, a write that was acknowledged is there."""

import os
import random
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import httpx2
import pytest
from sqlalchemy import select

from quota.amount import GpuTime
from quota.audit import By
from quota.clock import SystemClock, ms_between
from quota.errors import BooksUnavailable
from quota.observed import Observed
from quota.store.engine import open_engine, reading
from quota.store.migrate import upgrade
from quota.store.tables import leases, lots
from tests.api.processes import HEADERS, lab_environment, service_process
from tests.api.runtime import FakeRuntime
from tests.faults.crashes import postmaster_of, sqlite_copies, start_again, wait_until
from tests.postgres import throwaway_postgres
from tests.quota.books import LAB_YAML, Desk, gpu, hours, make_lab

SCHOLARS = ("ada", "blaise", "chen", "dina")
# A failing run prints its seed.
SEED = int(os.environ.get("GPULAB_SEED") or random.randrange(2**32))


@pytest.fixture
def rng() -> random.Random:
    print(f"GPULAB_SEED={SEED}")
    return random.Random(SEED)


# -- P05: the service -----------------------------------------------------------------------------


# Fifty whose sessions run all the time, beside the four who start and stop.
LIVE = tuple(f"live-{number}" for number in range(50))
CLASS = LAB_YAML.replace("[ada, blaise", f"[{', '.join(LIVE)}, ada, blaise")
CLASS += "policy: {max_spawning: 1000}\n"
SIDE_BY_SIDE = 2


@pytest.mark.parametrize("kills", [2, pytest.param(200, marks=pytest.mark.long)])
@pytest.mark.timeout(3600)
def test_p05_acknowledged_writes_survive_a_killed_service(
    kills: int, own_url: str, tmp_path: Path, rng: random.Random
) -> None:
    environment = lab_environment(own_url, tmp_path, CLASS)
    acknowledged: dict[UUID, str] = {}
    with metered(own_url) as (desk, runtime), ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        some = [
            pool.submit(_kill_again, kills // SIDE_BY_SIDE, environment, acknowledged,
                        SCHOLARS[number::SIDE_BY_SIDE], random.Random(rng.random()))
            for number in range(SIDE_BY_SIDE)
        ]  # fmt: skip
        for one in some:
            one.result()
        with reading(desk.engine) as tx:
            there = {row.id: row.state for row in tx.execute(select(leases))}
        assert {lease_id for lease_id in acknowledged if lease_id not in there} == set()
        for lease_id, state in acknowledged.items():
            assert state != "stopping" or there[lease_id] in ("stopping", "ended")
        assert len(acknowledged) > kills
        records = list(runtime.sessions)
        for ref in records:
            runtime.end(ref)
        ran = [runtime.sessions[ref] for ref in records]
    # Whatever was killed, what is charged is what the runtime recorded, to the millisecond.
    for seen in ran:
        charges = desk.books.account(seen.account).charges
        assert GpuTime.total(charge.amount for charge in charges) == _cost(seen), seen.account
    desk.check()
    desk.engine.dispose()


@contextmanager
def metered(url: str) -> Iterator[tuple[Desk, FakeRuntime]]:
    """Let fifty sessions run, and a worker look at them twice a second, and once at the end."""
    clock = SystemClock()
    runtime = FakeRuntime(clock.now)
    desk = Desk(open_engine(url), make_lab(CLASS), clock=clock)  # type: ignore[arg-type]
    desk.books.set_inventory([gpu(f"GPU-{number}") for number in range(13)])
    for who in LIVE:
        view = desk.ask(who, "quarter")
        assert view.lease.state == "held"
        runtime.run(desk.containers[desk.start(view)])

    def look() -> None:
        seen_at = clock.now()
        desk.books.tick(runtime.observe(), seen_at=seen_at)

    def look_on() -> None:
        while not stopped.wait(0.5):
            look()

    stopped = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look_on)
        try:
            yield desk, runtime
        finally:
            stopped.set()
        looking.result()
    look()


def _is_more(some: Collection[object], before: int) -> bool:
    return len(some) > before


def _cost(one: Observed) -> GpuTime:
    assert one.started_at is not None
    assert one.finished_at is not None
    return GpuTime.of(250, ms_between(one.started_at, one.finished_at))


def _kill_again(
    kills: int, environment: dict[str, str], acknowledged: dict[UUID, str],
    people: Sequence[str], rng: random.Random,
) -> None:  # fmt: skip
    lost: list[tuple[UUID, str]] = []
    for _ in range(kills):
        with service_process(environment) as service:
            _ask_again(service.url, lost)
            killed = threading.Event()
            with ThreadPoolExecutor(len(people)) as pool:
                clients = [pool.submit(_start_and_stop, service.url, who, acknowledged, killed)
                           for who in people]  # fmt: skip
                before = len(acknowledged)
                wait_until("something is written", partial(_is_more, acknowledged, before))
                time.sleep(rng.uniform(0.1, 2))  # not a wait: the instant of the kill
                service.process.send_signal(signal.SIGKILL)
                killed.set()
                lost = [one for client in clients for one in client.result()]
    with service_process(environment) as service:
        _ask_again(service.url, lost)


def _ask_again(url: str, lost: Sequence[tuple[UUID, str]]) -> None:
    """As a hub does that got no answer: the same under the same id is the same once more."""
    with httpx2.Client(timeout=30) as client:
        for lease_id, who in lost:
            assert _put(client, url, lease_id, who).status_code in (200, 409)


def _put(client: httpx2.Client, url: str, lease_id: UUID, who: str) -> httpx2.Response:
    wanted = {"hub_id": "main", "account": who, "server_name": str(lease_id)[:8], "flavor": "cpu",
              "image": "base"}  # fmt: skip
    return client.put(f"{url}/v1/leases/{lease_id}", json=wanted, headers=HEADERS)


def _start_and_stop(
    url: str, who: str, acknowledged: dict[UUID, str], killed: threading.Event
) -> list[tuple[UUID, str]]:
    """Write until the service is gone; return what was asked and not answered."""
    with httpx2.Client(timeout=30) as client:
        while True:
            lease_id = uuid4()
            try:
                reply = _put(client, url, lease_id, who)
                if reply.status_code == 200:
                    acknowledged[lease_id] = reply.json()["state"]
                reply = client.put(f"{url}/v1/leases/{lease_id}/stop", headers=HEADERS,
                                   json={"reason": "person"})  # fmt: skip
                if reply.status_code == 200:
                    acknowledged[lease_id] = reply.json()["state"]
            except httpx2.HTTPError:
                assert killed.wait(10), "the service broke off by itself"
                return [(lease_id, who)]


@pytest.fixture
def own_postgres() -> Iterator[str]:
    with throwaway_postgres() as url:
        yield url


@pytest.mark.postgres
@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.long)])
@pytest.mark.timeout(3600)
# One that was being opened when the server died is closed by nobody but the collector.
@pytest.mark.filterwarnings("ignore:.* was deleted while still open:ResourceWarning")
def test_p06_acknowledged_writes_survive_a_killed_postmaster(
    kills: int, own_postgres: str, tmp_path: Path, rng: random.Random
) -> None:
    """Books and service go on by themselves, within ten seconds of the database."""
    engine = open_engine(own_postgres, pool_size=6)
    upgrade(engine)
    desk = Desk(engine)
    acknowledged: set[UUID] = set()
    stopped = threading.Event()
    with (
        service_process(lab_environment(own_postgres, tmp_path, LAB_YAML)) as service,
        ThreadPoolExecutor(len(SCHOLARS)) as pool,
    ):
        writers = [pool.submit(_grant_on, desk, who, acknowledged, stopped) for who in SCHOLARS]
        try:
            for _ in range(kills):
                before = len(acknowledged)
                wait_until("something is written", partial(_is_more, acknowledged, before))
                time.sleep(rng.uniform(0.05, 0.5))  # not a wait: the instant of the kill
                pid = postmaster_of(own_postgres)
                os.kill(pid, signal.SIGKILL)
                wait_until("the database is gone", lambda: not _answers(desk))
                start_again(own_postgres)
                wait_until("all answer", lambda: _answers(desk) and _is_ready(service.url),
                           within_s=10)  # fmt: skip
        finally:
            stopped.set()
        for one in writers:
            one.result()
        assert service.process.poll() is None, "the same process as before"
    with reading(engine) as tx:
        there = set(tx.execute(select(lots.c.id)).scalars())
    assert acknowledged <= there
    assert len(acknowledged) > kills
    desk.check()
    engine.dispose()


def _is_ready(url: str) -> bool:
    return httpx2.get(f"{url}/readyz", timeout=10).status_code == 200


def _answers(desk: Desk) -> bool:
    try:
        desk.books.ping()
    except BooksUnavailable:
        return False
    return True


def _grant_on(desk: Desk, who: str, acknowledged: set[UUID], stopped: threading.Event) -> None:
    """Give under an id until it is acknowledged, then under the next."""
    grant_id = uuid4()
    while not stopped.is_set():
        try:
            desk.office.grant(grant_id, who, hours("1 s"), by=By(actor="olga"), reason="x")
        except BooksUnavailable:
            stopped.wait(0.05)
            continue
        acknowledged.add(grant_id)
        grant_id = uuid4()


@pytest.mark.parametrize("kills", [10, pytest.param(500, marks=pytest.mark.long)])
@pytest.mark.timeout(3600)
def test_p06_acknowledged_writes_survive_a_killed_sqlite_writer(
    kills: int, tmp_path: Path, rng: random.Random
) -> None:
    with sqlite_copies(tmp_path) as make:
        url = make()
    path = Path(url.removeprefix("sqlite:///"))
    acknowledged: set[UUID] = set()
    for _ in range(kills):
        acknowledged |= _killed_while_writing(url, rng)
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    engine = open_engine(url)
    with reading(engine) as tx:
        assert acknowledged <= set(tx.execute(select(lots.c.id)).scalars())
    assert len(acknowledged) >= kills
    Desk(engine).check()
    engine.dispose()


def _killed_while_writing(url: str, rng: random.Random) -> set[UUID]:
    """Let a process write until it is killed; return what it said was written."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _write_for_ever(url, lambda grant_id: os.write(theirs, grant_id.bytes))
        finally:
            os._exit(1)
    os.close(theirs)
    with os.fdopen(ours, "rb") as told:
        first = told.read(16)
        time.sleep(rng.uniform(0, 0.05))  # not a wait: the instant of the kill
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        rest = told.read()
    assert first, "the writer ended by itself"
    said = first + rest
    return {UUID(bytes=said[at : at + 16]) for at in range(0, len(said) // 16 * 16, 16)}


def _write_for_ever(url: str, tell: Callable[[UUID], object]) -> None:
    desk = Desk(open_engine(url))
    while True:
        grant_id = uuid4()
        desk.office.grant(grant_id, "ada", hours("1 s"), by=By(actor="olga"), reason="x")
        tell(grant_id)
