"""P01 and P10: many at once, on one account and on many; threads and processes; no deadlock."""

import contextlib
import multiprocessing
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import IntegrityError

from quota import requests
from quota.admission import Decision, decide
from quota.amount import GpuTime
from quota.audit import By
from quota.clock import ManualClock
from quota.desk import open_desk
from quota.errors import BooksUnavailable, InsufficientBalance
from quota.leases import LeaseRequest
from quota.office import Office
from quota.service import Books
from quota.store import engine as store
from quota.store import reads
from quota.store.engine import open_engine, reading, transaction
from tests.quota.books import NOON, Desk, gpu, make_lab

T = TypeVar("T")

# One account whose hours pay for exactly one hold step, and room for all who ask.
ONE_STEP = make_lab(
    """
sections:
  utc: {time_zone: UTC, scholars: [ada], hours_per_week: 10 min}
flavors:
  whole: {weight_mgpu: 1000, share_mgpu: 100, memory_mib: 100}
images:
  base: {docker: "gpulab/base:latest"}
gpus: {mode: declared, declared: [{name: Virtual GPU, memory_mib: 16384, count: 4}],
       max_sharers: 9}
""",
    sessions_per_scholar=100,
    max_spawning=1000,
)


def ask(books: Books, server: str) -> str:
    wanted = LeaseRequest(hub_id="main", account="ada", server_name=server, flavor="whole",
                          image="base")  # fmt: skip
    try:
        return books.request_lease(uuid4(), wanted).lease.state
    except InsufficientBalance:
        return "refused"


def at_once(count: int, act: Callable[[int], str]) -> Counter[str]:
    barrier = threading.Barrier(count)

    def one(number: int) -> str:
        barrier.wait(10)
        return act(number)

    with ThreadPoolExecutor(count) as pool:
        return Counter(pool.map(one, range(count)))


def one_step_books(engine: Engine) -> Books:
    books = Books(engine, ONE_STEP, ManualClock(NOON))
    books.set_inventory([gpu(f"GPU-{number}") for number in range(4)])
    return books


@pytest.mark.parametrize("threads", [8, 20])
def test_p01_one_affordable_hold_is_given_once(engine: Engine, threads: int) -> None:
    books = one_step_books(engine)
    answers = at_once(threads, lambda number: ask(books, f"s{number}"))
    assert answers == {"held": 1, "refused": threads - 1}
    assert books.account("ada").available == GpuTime.ZERO
    assert books.check() == []


def test_p01_catches_a_read_without_a_lock(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: without the lock the constraints refuse the second, with an error."""
    monkeypatch.setattr(reads, "_ACCOUNT_LOCKED", reads._ACCOUNT)
    if engine.dialect.name == "sqlite":
        event.remove(engine, "begin", store._begin_sqlite)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    books = one_step_books(engine)
    with transaction(engine) as tx:
        open_desk(tx, ONE_STEP, "main", "ada", now=NOON)

    all_have_looked = threading.Barrier(8)

    def together(*args: Any, **how: Any) -> Decision:
        with contextlib.suppress(threading.BrokenBarrierError):
            all_have_looked.wait(5)
        return decide(*args, **how)

    monkeypatch.setattr(requests, "decide", together)
    with pytest.raises((IntegrityError, BooksUnavailable)):
        at_once(8, lambda number: ask(books, f"s{number}"))


def _ask_in_a_process(url: str, number: int, gate: "multiprocessing.synchronize.Barrier",
                      answers: "multiprocessing.Queue[str]") -> None:  # fmt: skip
    engine = open_engine(url)
    gate.wait(30)
    answers.put(ask(Books(engine, ONE_STEP, ManualClock(NOON)), f"p{number}"))
    engine.dispose()


def test_p01_over_several_processes(engine: Engine) -> None:
    one_step_books(engine)
    spawn = multiprocessing.get_context("spawn")
    gate, answers = spawn.Barrier(4), spawn.Queue()
    url = engine.url.render_as_string(hide_password=False)
    some = [spawn.Process(target=_ask_in_a_process, args=(url, number, gate, answers))
            for number in range(4)]  # fmt: skip
    for one in some:
        one.start()
    found = Counter(answers.get(timeout=60) for _ in some)
    for one in some:
        one.join(30)
    assert [one.exitcode for one in some] == [0] * 4
    assert found == {"held": 1, "refused": 3}


OLGA = By(actor="olga")
BANK = make_lab(f"""
sections:
  utc: {{time_zone: UTC, scholars: [hot, {", ".join(f"a{n}" for n in range(100))}]}}
flavors:
  whole: {{weight_mgpu: 1000, share_mgpu: 100, memory_mib: 100}}
images:
  base: {{docker: "gpulab/base:latest"}}
gpus: {{mode: declared, declared: [{{name: Virtual GPU, memory_mib: 16384, count: 4}}]}}
""", sessions_per_scholar=100, max_spawning=1000)  # fmt: skip


def test_p10_totals_are_exact_under_contention(engine: Engine) -> None:
    """Eight workers on one hot account and a hundred others: grants, sessions, stops, ticks."""
    clock = ManualClock(NOON)
    Books(engine, BANK, clock).set_inventory([gpu(f"GPU-{n}") for n in range(4)])
    until = time.monotonic() + 3
    given: Counter[str] = Counter()

    guard = threading.Lock()

    def work(number: int) -> str:
        rng, books, mine = random.Random(number), Books(engine, BANK, clock), Counter[str]()
        while time.monotonic() < until:
            who, grant_id, lease_id = "hot", uuid4(), uuid4()
            if rng.random() < 0.5:
                who = f"a{rng.randrange(100)}"
            patiently(lambda: Office(books).grant(grant_id, who, GpuTime.hours(1), by=OLGA,  # noqa: B023
                                                  reason="contention"))  # fmt: skip
            mine[who] += 1
            wanted = LeaseRequest(hub_id="main", account=who, server_name=f"s{number}",
                                  flavor="whole", image="base")  # fmt: skip
            view = patiently(lambda: books.request_lease(lease_id, wanted))  # noqa: B023
            if view.lease.state == "held":
                patiently(lambda: books.stop_lease(lease_id, "person"))  # noqa: B023
            if number == 0:
                patiently(lambda: books.tick([], seen_at=clock.now()))
        with guard:
            given.update(mine)
        return "done"

    assert at_once(8, work) == {"done": 8}
    books = Books(engine, BANK, clock)
    assert sum(given.values()) >= 16, given
    for who, hours in given.items():
        account = books.account(who)
        assert GpuTime.total(lot.amount for lot in account.lots) == GpuTime.hours(hours), who
        assert account.balance == GpuTime.hours(hours), who
    assert books.check() == []


def patiently(act: Callable[[], T]) -> T:
    """Ask again when the database is busy, as the hub does: five times at most."""
    for _ in range(5):
        with contextlib.suppress(BooksUnavailable):
            return act()
    return act()


def test_gpus_are_never_over_committed_by_many_at_once(desk: Desk) -> None:
    """Two GPUs, and a request each from five people at the same moment."""
    people = ["ada", "blaise", "chen", "dina", "emeka"]
    ids = [uuid4() for _ in people]

    def ask_for_one(number: int) -> str:
        return desk.ask(people[number], lease_id=ids[number]).lease.state

    assert at_once(5, ask_for_one)["held"] <= 2
    # Who lost a race for one GPU gets the other with the next question.
    states = Counter(ask_for_one(number) for number in range(5))
    assert states == {"held": 2, "waiting": 3}


@pytest.mark.postgres
def test_p10_locks_are_taken_in_one_order(engine: Engine) -> None:
    """A stop and a tick and a request on the same accounts: PostgreSQL reports no deadlock."""
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one lock")
    with reading(engine) as tx:
        query = text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        before = tx.execute(query).scalar_one()
    desk = Desk(engine)
    people = ["ada", "blaise", "chen", "dina"]

    def work(number: int) -> str:
        for turn in range(8):
            if number == 7:
                desk.books.tick([], seen_at=desk.clock.now())
                desk.books.checkpoint()
                continue
            view = desk.ask(people[(number + turn) % 4], "quarter", server=f"s{number}")
            if view.line is None:
                desk.books.stop_lease(view.lease.id, "spawn_failed")
        return "done"

    desk.books.lab = make_lab(sessions_per_scholar=100, max_spawning=1000)
    assert at_once(8, work) == {"done": 8}
    with reading(engine) as tx:
        tx.execute(text("SELECT pg_stat_force_next_flush()"))
        assert tx.execute(query).scalar_one() == before
    desk.check()
