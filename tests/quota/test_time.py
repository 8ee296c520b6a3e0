"""P11, P12, P13, P16: clocks that jump, weeks that are not 168 hours, edits, short sessions."""

import random
import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, func, select

from quota.amount import GpuTime
from quota.calendar import week_at
from quota.clock import ManualClock, ms_between
from quota.lab import Lab
from quota.service import Books
from quota.store.engine import reading
from quota.store.tables import entries
from tests.quota.books import NOON, Desk, hours, make_lab

HOUR = timedelta(hours=1)


def lab_in(zone: str, amount: str = "10") -> Lab:
    text = f"""
sections:
  here: {{time_zone: {zone}, scholars: [ada, blaise], hours_per_week: {amount}}}
flavors:
  cpu: {{weight_mgpu: 0}}
  quarter: {{weight_mgpu: 250, share_mgpu: 250, memory_mib: 4096}}
  whole: {{weight_mgpu: 1000, share_mgpu: 1000, memory_mib: 16384}}
images:
  base: {{docker: "gpulab/base:latest"}}
gpus: {{mode: declared, declared: [{{name: Virtual GPU, memory_mib: 16384, count: 2}}]}}
"""
    return make_lab(text)


def with_hours(lab: Lab, section: str, amount: str) -> Lab:
    changed = lab.sections[section].model_copy(update={"hours_per_week": hours(amount)})
    return lab.model_copy(update={"sections": lab.sections | {section: changed}})


# -- P11 -------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump_min", [-60, 60])
def test_p11_a_clock_that_jumps_and_is_set_right_costs_nobody(desk: Desk, jump_min: int) -> None:
    """The service's clock only: the runtime's own, which is charged, stays right."""
    lease_id, ref = desk.run("emeka", "quarter")
    desk.go(minutes=10)
    seen_at = desk.clock.now()
    desk.clock.advance(timedelta(minutes=jump_min))
    desk.books.tick(desk.containers.values(), seen_at=seen_at)
    assert desk.books.lease(lease_id).lease.state == "active", "no early end"
    desk.clock.set(seen_at)
    desk.go(minutes=10)
    desk.finish(ref)
    desk.tick()
    charged = GpuTime.total(one.amount for one in desk.books.account("emeka").charges)
    assert charged == GpuTime.of(250, 20 * 60_000)
    assert all(one.amount > GpuTime.ZERO for one in desk.books.account("emeka").charges)


def test_p11_a_clock_that_runs_fast_or_slow_charges_what_the_runtime_says(desk: Desk) -> None:
    """500 ppm: over two hours the service's clock is 3.6 s off."""
    _lease_id, ref = desk.run()
    started_at = desk.clock.now()
    for tick in range(1, 9):
        desk.clock.set(started_at + timedelta(seconds=900 * tick * 1.0005))
        desk.tick()
    real_end = started_at + timedelta(hours=2)
    desk.clock.set(real_end)
    desk.finish(ref)
    desk.tick()
    charged = GpuTime.total(one.amount for one in desk.books.account("ada").charges)
    assert abs((charged - GpuTime.of(1000, 7_200_000)).mgpu_ms) <= 1000 * 15_000


# -- P12 -------------------------------------------------------------------------------------


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
        ("Asia/Kolkata", datetime(2026, 12, 31, 20, tzinfo=UTC), 168),
        ("Pacific/Apia", datetime(2011, 12, 30, tzinfo=UTC), 144),
        ("Pacific/Apia", datetime(2026, 12, 31, 20, tzinfo=UTC), 168),
        ("America/New_York", datetime(2026, 12, 31, 20, tzinfo=UTC), 168),
        ("Europe/London", datetime(2026, 12, 31, 20, tzinfo=UTC), 168),
        ("Australia/Lord_Howe", datetime(2026, 12, 31, 20, tzinfo=UTC), 168),
    ],
)
def test_p12_a_session_across_the_end_of_a_week_is_split_there(
    engine: Engine, zone: str, edge: datetime, week_hours: float
) -> None:
    lab = lab_in(zone)
    week = week_at(None, lab.sections["here"].zone, edge)
    assert week is not None
    assert (week.ends_at - week.starts_at) / HOUR == week_hours
    desk = Desk(engine, lab, ManualClock(week.ends_at - timedelta(minutes=30, milliseconds=7)))
    _lease_id, ref = desk.run()
    desk.go(every_s=600, minutes=75)
    desk.finish(ref)
    desk.tick()
    rest_ms = 45 * 60_000 - 7
    assert desk.books.account("ada").balance == hours("10") - GpuTime.of(1000, rest_ms)
    charges = desk.books.account("ada").charges
    assert all(one.until_at <= week.ends_at or one.from_at >= week.ends_at for one in charges)
    assert GpuTime.total(one.amount for one in charges) == GpuTime.of(1000, 75 * 60_000)
    assert _sum(engine, "expiry") == -(hours("10") - GpuTime.of(1000, 30 * 60_000 + 7))
    assert _sum(engine, "give") == hours("20")
    desk.check()


def _sum(engine: Engine, kind: str) -> GpuTime:
    with reading(engine) as tx:
        total = func.sum(entries.c.posted, type_=entries.c.posted.type)
        found = tx.execute(select(total).where(entries.c.kind == kind)).scalar_one()
    assert isinstance(found, GpuTime)
    return found


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
    assert _sum(engine, "give") == hours("20"), "one for each of the two weeks"
    desk.check()


# -- P13 -------------------------------------------------------------------------------------


def test_p13_hours_cut_below_use_stop_the_session_with_a_notice(desk: Desk) -> None:
    lease_id, _ref = desk.run("emeka")
    desk.go(minutes=30, every_s=300)
    cut_at = desk.clock.now()
    desk.books.lab = with_hours(desk.lab, "berlin", "0.25")
    desk.go(minutes=2)
    lease = desk.books.lease(lease_id).lease
    assert lease.end_reason == "exhausted"
    assert lease.ended_at is not None
    assert lease.ended_at - cut_at <= timedelta(seconds=50)
    account = desk.books.account("emeka")
    assert account.notices[0].kind == "stopped"
    assert account.debt <= GpuTime.of(1000, 30_000), "what was used before the cut is not owed"


def test_p13_hours_raised_one_second_before_the_end_keep_it_running(desk: Desk) -> None:
    lease_id, _ref = desk.run("emeka")
    desk.go(minutes=59, seconds=59, every_s=300)
    desk.books.lab = with_hours(desk.lab, "berlin", "2")
    desk.go(minutes=30, every_s=300)
    assert desk.books.lease(lease_id).lease.state == "active"
    assert desk.balance("emeka") == "0.50"


def test_p13_hours_raised_from_none_in_the_week_arrive(desk: Desk) -> None:
    desk.books.lab = with_hours(desk.lab, "berlin", "0")
    desk.ask("emeka", "cpu")
    assert desk.balance("emeka") == "0.00"
    desk.books.lab = with_hours(desk.lab, "berlin", "3")
    assert desk.balance("emeka") == "3.00"
    assert desk.ask("emeka", server="b").lease.state == "held"


def test_p13_a_refusal_right_after_a_cut_loses_no_charge(desk: Desk) -> None:
    """The refused request settles the account on the way: all of that is written."""
    _lease_id, ref = desk.run("emeka")
    desk.go(minutes=30, every_s=300)
    desk.books.lab = with_hours(desk.lab, "berlin", "0.25")
    with pytest.raises(Exception, match="GPU"):
        desk.ask("emeka", server="b")
    desk.finish(ref)
    desk.tick()
    charged = GpuTime.total(one.amount for one in desk.books.account("emeka").charges)
    assert charged == hours("0.5")


def test_p13_a_changed_weight_counts_from_the_next_tick(desk: Desk) -> None:
    _lease_id, ref = desk.run()
    desk.go(minutes=30, every_s=300)
    dearer = desk.lab.flavors["whole"].model_copy(update={"weight_mgpu": 2000})
    desk.books.lab = desk.lab.model_copy(update={"flavors": desk.lab.flavors | {"whole": dearer}})
    desk.go(minutes=30, every_s=15)
    desk.finish(ref)
    desk.tick()
    # The first tick after the change counts what ran until then at the old weight.
    late = GpuTime.of(1000, 15_000)
    assert desk.books.account("ada").balance == hours("10") - hours("1.5") + late


# -- P16 -------------------------------------------------------------------------------------


@pytest.mark.parametrize("cycles", [100, pytest.param(1000, marks=pytest.mark.long)])
def test_p16_short_sessions_cost_what_they_last(memory_engine: Engine, cycles: int) -> None:
    rng = random.Random(16)
    lab = lab_in("UTC", "160")
    desk = Desk(memory_engine, lab, ManualClock(NOON.replace(day=23)))
    oracle = 0
    for _ in range(cycles):
        view = desk.ask("ada", "quarter")
        ref = desk.start(view)
        began = desk.clock.now()
        desk.clock.advance(timedelta(milliseconds=rng.randint(20_000, 59_999)))
        desk.finish(ref)
        oracle += 250 * ms_between(began, desk.clock.now())
        desk.clock.advance(timedelta(seconds=1))
        desk.tick()
    charged = sum(-one.mgpu_ms for one in [_sum(memory_engine, "charge")])
    assert charged == oracle
    desk.check()
