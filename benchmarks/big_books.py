"""Big books: many accounts with years of entries, and what people ask of them.

The books are made many accounts to a transaction, with right chains, lots and figures: the last
thing measured is the check of all of it, which would find a wrong one. Balances and explanations
are asked for accounts at random; the roll-over is the first settlement of every account in a new
week.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from sqlalchemy import func, insert, select

from benchmarks.common import Figure, percentile, report
from benchmarks.rigs import lab_yaml
from quota.allowances import settle
from quota.amount import GpuTime
from quota.chain import GENESIS
from quota.clock import ManualClock
from quota.desk import open_desk
from quota.lab_file import parse_lab
from quota.leases import Lease
from quota.ledger import Account
from quota.posting import post_use
from quota.service import Books
from quota.store import writes
from quota.store.engine import open_engine, reading, transaction
from quota.store.migrate import upgrade
from quota.store.patience import be_patient
from quota.store.tables import accounts, entries, leases
from quota.store.usage import usage_sums

_ROLL_OVER = "roll_over: {percent: 50, most_hours: 5}\n"
_MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
_SECTION = 30
_WEEK = timedelta(days=7)
# Of one session: a charge for each hold step, and the hold before it.
_ENTRIES_PER_STEP = 2
_STEP = timedelta(minutes=10)
_LIMITS = {
    "balance p99 ms": 50.0, "explanation p99 ms": 50.0, "section usage ms": 200.0,
    "roll-over of 10,000 s": 60.0,
}  # fmt: skip
_CHECKED_PER_S = 100_000


@contextmanager
def big_books(people: int, each: int, url: str | None) -> Iterator[Books]:
    with tempfile.TemporaryDirectory(prefix="gpulab-bench-") as folder:
        engine = open_engine(url or f"sqlite:///{folder}/books.sqlite")
        upgrade(engine)
        books = Books(
            engine, parse_lab(lab_yaml(people, 1) + _ROLL_OVER, "lab.yaml"), ManualClock(_MONDAY)
        )
        began = time.perf_counter()
        for start in range(0, people, 100):
            _write(books, range(start, min(start + 100, people)), each)
        print(f"made in {time.perf_counter() - began:.0f} s")
        yield books
        engine.dispose()


def _write(books: Books, numbers: range, each: int) -> None:
    """Let some people have used their hours week by week up to now."""
    with transaction(books.engine) as tx:
        be_patient(tx)
        some = [
            Account(id=number + 1, hub_id="main", kind="scholar", name=f"s{number}")
            for number in numbers
        ]
        tx.execute(insert(accounts), [
            {"id": one.id, "hub_id": "main", "kind": "scholar", "name": one.name,
             "posted": one.posted, "held": one.held, "debt": one.debt, "seq": 0, "head": GENESIS}
            for one in some
        ])  # fmt: skip
        sessions = [lease for one in some for lease in _live(books, one, each)]
        tx.execute(insert(leases), [
            {name: getattr(lease, name) for name in Lease.__slots__} for lease in sessions
        ])  # fmt: skip
        writes.save_accounts(tx, some)


def _live(books: Books, account: Account, each: int) -> Iterator[Lease]:
    """Use the hours of an account in sessions, a week's share each week, until now."""
    weeks = 60
    steps = each // weeks // _ENTRIES_PER_STEP
    section = books.lab.section_of(account.name)
    for week in range(weeks):
        now = _MONDAY - (weeks - week) * _WEEK
        settle(account, [], lab=books.lab, section=section, now=now)
        lease = Lease(
            id=uuid4(), account_id=account.id, server_name="", flavor="gpu", image="base",
            state="active", weight_mgpu=100, share_mgpu=1, memory_mib=1, requested_at=now,
            asked_at=now, ref="c", started_at=now, charged_until=now, observed_until=now,
        )  # fmt: skip
        for _ in range(steps):
            now += _STEP
            account.pend(lease.id, _cost(lease), at=now)
            lease = post_use(account, _holding(lease), now, at=now)
        yield _over(lease, now)


def _cost(lease: Lease) -> GpuTime:
    return GpuTime.of(lease.weight_mgpu, _STEP // timedelta(milliseconds=1))


def _holding(lease: Lease) -> Lease:
    return replace(lease, hold=_cost(lease))


def _over(lease: Lease, now: datetime) -> Lease:
    return replace(lease, state="ended", ended_at=now, observed_until=now, end_reason="person")


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def asked(books: Books, people: int, times: int) -> dict[str, float]:
    rng = random.Random(7)

    def some(work: Callable[[str], object]) -> float:
        took = [timed(lambda: work(f"s{rng.randrange(people)}")) for _ in range(times)]
        return percentile(took, 0.99) * 1000

    books.account("s0")
    return {
        "balance p99 ms": some(books.account),
        "explanation p99 ms": some(books.explanation),
        "section usage ms": timed(lambda: section_usage(books)) * 1000,
    }


def section_usage(books: Books) -> None:
    names = [f"s{number}" for number in range(_SECTION)]
    with reading(books.engine) as tx:
        found = usage_sums(tx, "main", _MONDAY - _WEEK, _MONDAY, names)
    assert len(found) == _SECTION


def roll_over(books: Books, people: int) -> float:
    """Settle everybody in the new week, as the first look or tick of the week does; per 10,000."""
    books.clock.set(_MONDAY + timedelta(hours=1))

    def work() -> None:
        for start in range(0, people, 250):
            with transaction(books.engine) as tx:
                for number in range(start, min(start + 250, people)):
                    open_desk(tx, books.lab, "main", f"s{number}", now=books.clock.now())

    return timed(work) * 10_000 / people


def checked(books: Books, people: int, each: int) -> float:
    """Return how many entries the check of all books passes in a second."""
    found: list[object] = []
    seconds = timed(lambda: found.extend(books.check()))
    assert not found, found[:3]
    return people * each / seconds


def measure(people: int, each: int, times: int, url: str | None) -> int:
    with big_books(people, each, url) as books:
        with reading(books.engine) as tx:
            total = tx.execute(select(func.count()).select_from(entries)).scalar_one()
        print(f"{people:,} accounts, {total:,} entries")
        figures = asked(books, people, times)
        figures["roll-over of 10,000 s"] = roll_over(books, people)
        rate = checked(books, people, total // people)
    for name, value in figures.items():
        print(f"{name}: {value:.1f} (at most {_LIMITS[name]:g})")
    print(f"check: {rate:,.0f} entries/s (at least {_CHECKED_PER_S:,})")
    # How often each fits into its limit; the last line has the one that fits least.
    ratios = {name: _LIMITS[name] / value for name, value in figures.items()}
    ratios["checked entries/s"] = rate / _CHECKED_PER_S
    least = min(ratios, key=lambda name: ratios[name])
    value, limit = (rate, _CHECKED_PER_S) if least not in figures else (
        figures[least], _LIMITS[least])  # fmt: skip
    return report(Figure(bench="big_books", value=value, unit=least, limit=limit,
                         ratio=ratios[least], target=1.0, ok=ratios[least] >= 1))  # fmt: skip


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks big_books", description=__doc__)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--entries", type=int, default=5_000_000)
    parser.add_argument("--times", type=int, default=300, help="how often people ask")
    parser.add_argument("--url", help="an empty PostgreSQL database; else SQLite")
    chosen = parser.parse_args(words)
    each = chosen.entries // chosen.accounts
    return measure(chosen.accounts, each, chosen.times, chosen.url)
