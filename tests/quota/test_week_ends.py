"""P12: a week ends exactly, in every zone and at both edges of summer time, and gives once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine

from quota import allowances, calendar, entitlement
from quota.amount import GpuTime
from quota.calendar import Week, week_at
from quota.clock import ManualClock
from quota.ledger import Account
from quota.service import Books
from tests.quota.books import Desk, hours
from tests.quota.zones import lab_in, sum_of

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("zone", "edge", "week_hours"),
    [
        ("America/New_York", datetime(2026, 3, 8, tzinfo=UTC), 167),
        ("America/New_York", datetime(2026, 11, 1, 12, tzinfo=UTC), 169),
        ("Europe/London", datetime(2026, 3, 29, tzinfo=UTC), 167),
        ("Europe/London", datetime(2026, 10, 25, tzinfo=UTC), 169),
        ("Australia/Lord_Howe", datetime(2026, 4, 4, 12, tzinfo=UTC), 168.5),
        ("Australia/Lord_Howe", datetime(2026, 10, 3, 12, tzinfo=UTC), 167.5),
        ("Asia/Kolkata", datetime(2026, 3, 8, tzinfo=UTC), 168),
        ("Asia/Kolkata", datetime(2026, 11, 1, 12, tzinfo=UTC), 168),
        ("Asia/Kolkata", datetime(2026, 12, 31, 20, tzinfo=UTC), 168),
        ("Pacific/Apia", datetime(2020, 9, 26, tzinfo=UTC), 167),  # the last summers there
        ("Pacific/Apia", datetime(2021, 4, 3, tzinfo=UTC), 169),
        ("Pacific/Apia", datetime(2011, 12, 30, tzinfo=UTC), 144),  # a day that never was
        ("Pacific/Apia", datetime(2026, 12, 31, 20, tzinfo=UTC), 168),
        ("America/New_York", datetime(2026, 12, 31, 20, tzinfo=UTC), 168),
        ("Europe/London", datetime(2026, 12, 31, 20, tzinfo=UTC), 168),
        ("Australia/Lord_Howe", datetime(2026, 12, 31, 20, tzinfo=UTC), 168),
    ],
)
def test_p12_a_session_across_the_end_of_a_week_is_split_there(
    engine: Engine, zone: str, edge: datetime, week_hours: float
) -> None:
    across_the_end_of_a_week(engine, zone, edge, week_hours)


def across_the_end_of_a_week(engine: Engine, zone: str, edge: datetime, week_hours: float) -> None:
    """Two workers see the same at the same moment, before, at and after the end."""
    lab = lab_in(zone)
    week = week_at(None, lab.sections["here"].zone, edge)
    assert week is not None
    assert (week.ends_at - week.starts_at) / HOUR == week_hours
    desk = Desk(engine, lab, ManualClock(week.ends_at - timedelta(minutes=30, milliseconds=7)))
    _lease_id, ref = desk.run()
    for _ in range(5):
        desk.clock.advance(timedelta(minutes=15))
        two_workers(desk)
    desk.finish(ref)
    two_workers(desk)
    rest_ms = 45 * 60_000 - 7
    assert desk.books.account("ada").balance == hours("10") - GpuTime.of(1000, rest_ms)
    charges = desk.books.account("ada").charges
    assert all(one.until_at <= week.ends_at or one.from_at >= week.ends_at for one in charges)
    assert GpuTime.total(one.amount for one in charges) == GpuTime.of(1000, 75 * 60_000)
    assert sum_of(engine, "expiry") == -(hours("10") - GpuTime.of(1000, 30 * 60_000 + 7))
    assert sum_of(engine, "give") == hours("20")
    desk.check()


def two_workers(desk: Desk) -> None:
    gate, seen = threading.Barrier(2), list(desk.containers.values())

    def work() -> None:
        books = Books(desk.engine, desk.lab, desk.clock)
        gate.wait(10)
        books.tick(seen, seen_at=desk.clock.now())

    with ThreadPoolExecutor(2) as pool:
        for one in [pool.submit(work), pool.submit(work)]:
            one.result(timeout=30)


SPRING = datetime(2026, 3, 8, tzinfo=UTC)


def test_p12_catches_weeks_that_are_always_168_hours(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control; the length itself is asked of the calendar that is right."""
    right = calendar._plain_week_at

    def always(zone: ZoneInfo, at: datetime) -> Week:
        week = right(zone, at)
        return replace(week, ends_at=week.starts_at + 168 * HOUR)

    monkeypatch.setattr(entitlement, "week_at", lambda _program, zone, at: always(zone, at))
    monkeypatch.setattr(allowances, "same_week", lambda _program, zone, at: always(zone, at))
    with pytest.raises(AssertionError):
        across_the_end_of_a_week(engine, "America/New_York", SPRING, 167)


def test_p12_catches_an_allowance_that_is_given_at_every_look(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: without the mark on the account, and with ids of lots that differ."""

    def forgetful(
        account: Account, week: Week, amount: GpuTime, why: str, *, now: datetime, **_: object
    ) -> None:
        account.give(replace(allowances._week_lot(account, week, amount, why), id=uuid4()), at=now)

    monkeypatch.setattr(allowances, "_give_or_adjust", forgetful)
    with pytest.raises(AssertionError):
        across_the_end_of_a_week(engine, "America/New_York", SPRING, 167)


def test_p12_two_who_settle_a_new_week_at_once_give_it_once(engine: Engine) -> None:
    desk = Desk(engine)
    desk.run("ada", "quarter")
    desk.clock.set(datetime(2026, 11, 30, 0, 0, 1, tzinfo=UTC))
    seen, gate, failed = list(desk.containers.values()), threading.Barrier(4), []

    def work(number: int) -> None:
        books = Books(engine, desk.lab, desk.clock)
        gate.wait(10)
        try:
            if number % 2:
                books.tick(seen, seen_at=desk.clock.now())
            else:
                desk.ask("ada", "cpu", server=f"s{number}")
        except Exception as error:  # noqa: BLE001
            failed.append(error)

    some = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for one in some:
        one.start()
    for one in some:
        one.join(30)
    assert failed == []
    assert sum_of(engine, "give") == hours("20"), "one for each of the two weeks"
    desk.check()
