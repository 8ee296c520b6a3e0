"""The sections are counted beside the worker's tick: seldom, and whatever happens."""

import structlog
from sqlalchemy import Engine

from api.census import Census
from quota.store import reads
from quota.store.engine import reading
from tests.quota.books import Desk


def counted_at(desk: Desk) -> int | None:
    with reading(desk.engine) as tx:
        return reads.all_counters(tx).get(("census_at_ms", ""))


def test_it_counts_at_the_first_tick_and_not_at_each(engine: Engine) -> None:
    desk = Desk(engine)
    census = Census(desk.books)
    census.try_count()
    first = counted_at(desk)
    assert first is not None
    desk.go(every_s=15, minutes=2)
    # By the clock of the machine no minute has passed.
    census.try_count()
    assert counted_at(desk) == first
    assert desk.books.check() == []


def test_a_fault_is_told_and_does_not_come_back_at_once(engine: Engine) -> None:
    desk = Desk(engine)
    census = Census(desk.books)
    desk.books.clock = None  # type: ignore[assignment]
    with structlog.testing.capture_logs() as lines:
        census.try_count()
        census.try_count()
    assert [(one["event"], one["alarm"]) for one in lines] == [("census_broken", True)]
