"""P02: any event may be lost, doubled, reordered; the books end up the same to the last entry."""

import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, event, select

from quota import ledger
from quota.amount import GpuTime
from quota.audit import By
from quota.clock import ManualClock
from quota.errors import BooksUnavailable, GrantConflict, LeaseConflict
from quota.invariants import describe
from quota.leases import LeaseRequest
from quota.observed import Observed
from quota.office import Office
from quota.service import Books
from quota.store import writes
from quota.store.engine import reading, transaction
from quota.store.tables import accounts, entries
from tests.quota.books import NOON, gpu, make_lab
from tests.quota.memory import empty
from tests.quota.sizes import IS_FUZZ

SCHOLARS = [f"s{number}" for number in range(6)]
LAB = make_lab(f"""
sections:
  utc: {{time_zone: UTC, scholars: [{", ".join(SCHOLARS)}], hours_per_week: 100}}
flavors:
  quarter: {{weight_mgpu: 250, share_mgpu: 250, memory_mib: 4096}}
  whole: {{weight_mgpu: 1000, share_mgpu: 1000, memory_mib: 16384}}
images:
  base: {{docker: "gpulab/base:latest"}}
gpus: {{mode: declared, declared: [{{name: Virtual GPU, memory_mib: 16384, count: 6}}]}}
""")
EVENTS = 200
REMOVED_AFTER = timedelta(minutes=45)
Deliver = Callable[[Books], object]


@dataclass
class Trace:
    """What happens: (minute, delivery), and the containers that the deliveries speak of."""

    seed: int
    events: list[tuple[int, Deliver]] = field(default_factory=list)
    containers: list[Observed] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = random.Random(self.seed)
        clocks = dict.fromkeys(SCHOLARS, 0)
        while len(self.events) < EVENTS // 2:
            who = rng.choice(SCHOLARS)
            if rng.random() < 0.2:
                clocks[who] += 1
                self._grant(rng, who, clocks[who])
            else:
                clocks[who] = self._session(rng, who, clocks[who] + rng.randint(1, 20))
        self.events.sort(key=lambda one: one[0])

    def _grant(self, rng: random.Random, who: str, minute: int) -> None:
        grant_id, amount = UUID(int=rng.getrandbits(128)), GpuTime.hours(rng.randint(1, 9))
        self.events.append((minute, lambda books: Office(books).grant(
            grant_id, who, amount, by=By(actor="olga"), reason="a due date")))  # fmt: skip

    def _session(self, rng: random.Random, who: str, begin: int) -> int:
        lease_id, flavor = UUID(int=rng.getrandbits(128)), rng.choice(["quarter", "whole"])
        wanted = LeaseRequest(hub_id="main", account=who, server_name="", flavor=flavor,
                              image="base")  # fmt: skip
        end = begin + rng.randint(2, 60)
        self.events.append((begin, lambda books: books.request_lease(lease_id, wanted)))
        if rng.random() < 0.5:
            self.events.append((end - 1, lambda books: books.stop_lease(lease_id, "person")))
        self.containers.append(Observed(
            ref=f"c-{lease_id}", lease_id=lease_id, hub_id="main", account=who, server_name="",
            flavor=flavor, exit_code=0, started_at=at(begin, rng.randint(1, 50_000)),
            finished_at=at(end - 1, rng.randint(1, 50_000)),
        ))  # fmt: skip
        # The end is seen before the next session is asked for.
        self.events.append((end, lambda books: None))
        return end

    def seen(self, now: datetime) -> list[Observed]:
        """What the runtime shows at an instant; what ended long ago has been removed."""
        found = []
        for one in self.containers:
            assert one.started_at is not None
            assert one.finished_at is not None
            if one.finished_at < now - REMOVED_AFTER:
                continue
            if one.started_at <= now < one.finished_at:
                found.append(Observed(
                    **{name: getattr(one, name) for name in Observed.__slots__
                       if name not in ("finished_at", "exit_code")},
                    finished_at=None, exit_code=None))  # fmt: skip
            elif one.finished_at <= now:
                found.append(one)
        return found


def at(minute: int, ms: int = 0) -> datetime:
    return NOON + timedelta(minutes=minute, milliseconds=ms)


class Courier:
    """Delivers a trace; a troubled one drops answers, repeats, shuffles what is simultaneous."""

    def __init__(self, engine: Engine, trace: Trace, rng: random.Random | None) -> None:
        self.books = Books(engine, LAB, ManualClock(NOON))
        self.trace, self.rng, self.engine = trace, rng, engine
        self.asked: list[Deliver] = []
        self.ticked: list[Deliver] = []
        self.books.set_inventory([gpu(f"GPU-{number}") for number in range(6)])
        with transaction(engine) as tx:
            # In a fixed order: an allowance's id follows the account's row number.
            for who in SCHOLARS:
                writes.create_account(tx, "main", who)

    def run(self) -> None:
        for minute in sorted({minute for minute, _ in self.trace.events}):
            self.books.clock.set(at(minute))  # type: ignore[attr-defined]
            now = [deliver for when, deliver in self.trace.events if when == minute]
            if self.rng is not None:
                self.rng.shuffle(now)
            for deliver in now:
                self._deliver(deliver, self.asked)
            self._deliver(self._tick_of(minute), self.ticked)
            if self.rng is not None:
                for _ in range(self.rng.choice([0, 0, 1, 3])):
                    self.rng.choice(self.ticked[-30:])(self.books)

    def _tick_of(self, minute: int) -> Deliver:
        seen = self.trace.seen(at(minute))
        return lambda books: books.tick(seen, seen_at=at(minute))

    def _deliver(self, deliver: Deliver, past: list[Deliver]) -> None:
        if self.rng is None:
            deliver(self.books)
            return
        while self.rng.random() < 0.2:
            with refused_commit(self.engine), contextlib.suppress(BooksUnavailable):
                deliver(self.books)
        deliver(self.books)
        past.append(deliver)
        # Old questions come again at any time; old observations once the new one is in (below),
        # since before that they would only move the instant at which a hold rolls.
        for _ in range(self.rng.choice([0, 0, 0, 1, 2, 9])):
            self.rng.choice([*self.asked[-30:], deliver])(self.books)


class refused_commit:  # noqa: N801
    """The next commit fails, as on a full disk; the caller has to ask again."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __enter__(self) -> None:
        event.listen(self.engine, "commit", self._refuse)

    def __exit__(self, *_: object) -> None:
        event.remove(self.engine, "commit", self._refuse)

    def _refuse(self, _connection: Connection) -> None:
        raise BooksUnavailable("the disk is full")


def books_of(engine: Engine) -> tuple[list[Any], list[Any]]:
    """Balances, and every entry but the numbers of account rows."""
    with reading(engine) as tx:
        names = {row.id: row.name for row in tx.execute(select(accounts.c.id, accounts.c.name))}
        balances = tx.execute(select(accounts.c.name, accounts.c.posted, accounts.c.held,
                                     accounts.c.debt, accounts.c.seq)
                              .order_by(accounts.c.name)).all()  # fmt: skip
        lines = [
            (names[row.account_id], row.seq, row.kind, row.part, row.posted, row.held,
             row.from_at, row.until_at, row.lease_id, row.transfer_id)
            for row in tx.execute(select(entries).order_by(entries.c.account_id, entries.c.seq))
        ]  # fmt: skip
    return list(balances), sorted(lines, key=lambda line: (line[0], line[1]))


def emptied(engine: Engine) -> Engine:
    empty(engine)
    return engine


def check(engine: Engine) -> None:
    found = Books(engine, LAB, ManualClock(NOON)).check()
    assert not found, describe(found)


def compare(fresh: Callable[[], Engine], seed: int) -> None:
    print(f"seed {seed}")
    trace = Trace(seed)
    engine = fresh()
    Courier(engine, trace, None).run()
    check(engine)
    calm = books_of(engine)
    assert sum(1 for line in calm[1] if line[2] == "charge") > 20, "the trace uses GPU time"
    engine = fresh()
    Courier(engine, trace, random.Random(seed)).run()
    check(engine)
    assert books_of(engine) == calm


@pytest.mark.parametrize("seed", range(1_000 if IS_FUZZ else 20))
def test_p02_trouble_in_delivery_changes_nothing(memory_engine: Engine, seed: int) -> None:
    compare(lambda: emptied(memory_engine), seed)


@pytest.mark.postgres
def test_p02_on_postgres(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("the test above is this one on SQLite")
    compare(lambda: emptied(engine), 1)


def test_p02_a_key_used_again_with_another_body_writes_nothing(engine: Engine) -> None:
    courier = Courier(engine, Trace(1), None)
    books, lease_id, grant_id = courier.books, UUID(int=1), UUID(int=2)
    wanted = LeaseRequest(hub_id="main", account="s0", server_name="", flavor="whole",
                          image="base")  # fmt: skip
    books.request_lease(lease_id, wanted)
    Office(books).grant(grant_id, "s1", GpuTime.hours(1), by=By(actor="olga"), reason="x")
    before = books_of(engine)
    for change in ({"account": "s1"}, {"server_name": "b"}, {"flavor": "quarter"}):
        fields = {name: getattr(wanted, name) for name in LeaseRequest.__slots__} | change
        with pytest.raises(LeaseConflict):
            books.request_lease(lease_id, LeaseRequest(**fields))
    for who, amount, reason in (("s2", 1, "x"), ("s1", 2, "x"), ("s1", 1, "y")):
        with pytest.raises(GrantConflict):
            Office(books).grant(
                grant_id, who, GpuTime.hours(amount), by=By(actor="olga"), reason=reason
            )
    assert books_of(engine)[1] == before[1]
    check(engine)


def test_p02_the_comparison_catches_a_tick_that_charges_twice(
    memory_engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The negative control: a meter that counts the last minute again."""
    honest = ledger.Account.charge

    def forgetful(self: ledger.Account, lease_id: UUID, **how: object) -> GpuTime:
        how["start"] = how["start"] - timedelta(minutes=1)  # type: ignore[operator]
        return honest(self, lease_id, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(ledger.Account, "charge", forgetful)
    with pytest.raises(AssertionError, match="I2"):
        compare(lambda: emptied(memory_engine), 1)
