"""P11, P13, P16: clocks that jump or run wrong, edits under running sessions, short sessions."""

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from quota import allowances
from quota.amount import GpuTime
from quota.calendar import Week
from quota.clock import ManualClock
from quota.lab import Lab
from quota.leases import LeaseRequest
from quota.ledger import Account
from quota.service import Books
from tests.quota.books import NOON, Desk, hours
from tests.quota.zones import lab_in, sum_of


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


@pytest.mark.parametrize("ppm", [500, -500])
def test_p11_a_clock_that_runs_fast_or_slow_charges_what_the_runtime_says(
    desk: Desk, ppm: int
) -> None:
    """Over two hours the service's clock is 3.6 s off."""
    _lease_id, ref = desk.run()
    started_at = desk.clock.now()
    for tick in range(1, 9):
        desk.clock.set(started_at + timedelta(seconds=900 * tick * (1 + ppm / 1_000_000)))
        desk.tick()
    real_end = started_at + timedelta(hours=2)
    desk.clock.set(real_end)
    desk.finish(ref)
    desk.tick()
    charged = GpuTime.total(one.amount for one in desk.books.account("ada").charges)
    assert abs((charged - GpuTime.of(1000, 7_200_000)).mgpu_ms) <= 1000 * 15_000


@pytest.mark.parametrize("skew_min", [-9, 10])
def test_p11_a_service_whose_clock_is_off_ends_nothing_early(desk: Desk, skew_min: int) -> None:
    """The worker's clock is right, and the runtime's; the service admits, and is asked again."""
    off = ManualClock(desk.clock.now() + timedelta(minutes=skew_min))
    service = Books(desk.engine, desk.lab, off)
    wanted = LeaseRequest(hub_id="main", account="emeka", server_name="", flavor="whole",
                          image="base")  # fmt: skip
    view = service.request_lease(uuid4(), wanted)

    def go(**by: float) -> None:
        for clock in (desk.clock, off):
            clock.advance(timedelta(**by))
        service.account("emeka")
        service.request_lease(view.lease.id, wanted)
        assert desk.tick().stops == []

    go(seconds=20)
    assert desk.books.lease(view.lease.id).lease.state == "held"
    ref = desk.start(view)
    for _ in range(9):
        go(minutes=5)
    desk.finish(ref)
    desk.tick()
    account = desk.books.account("emeka")
    assert GpuTime.total(one.amount for one in account.charges) == GpuTime.of(1000, 45 * 60_000)
    assert account.balance == hours("0.25")


def test_p11_a_runtime_whose_clock_is_behind_charges_nothing_before_the_admission(
    desk: Desk,
) -> None:
    view = desk.ask("emeka", "quarter")
    ref = desk.start(view)
    real = desk.containers[ref]
    assert real.started_at is not None
    desk.containers[ref] = replace(real, started_at=real.started_at - timedelta(minutes=10))
    desk.go(minutes=20)
    desk.finish(ref)
    desk.tick()
    charged = GpuTime.total(one.amount for one in desk.books.account("emeka").charges)
    assert charged == GpuTime.of(250, 20 * 60_000)


# -- P13 -------------------------------------------------------------------------------------


def test_p13_hours_cut_below_use_stop_the_session_with_a_notice(desk: Desk) -> None:
    cut_below_use(desk)


def cut_below_use(desk: Desk) -> None:
    lease_id, _ref = desk.run("emeka")
    desk.go(minutes=36, every_s=120)
    posted = GpuTime.total(one.amount for one in desk.books.account("emeka").charges)
    assert posted < hours("32 min"), "some of it is not posted yet"
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


def test_p13_catches_a_cut_that_waits_for_the_next_week(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: an allowance, once given, stays as it is."""
    right = allowances._give_or_adjust

    def once(
        account: Account, week: Week, amount: GpuTime, why: str, *, now: datetime,
        begins: Callable[[datetime], bool],
    ) -> None:  # fmt: skip
        if account.allowance_from != week.starts_at:
            right(account, week, amount, why, now=now, begins=begins)

    monkeypatch.setattr(allowances, "_give_or_adjust", once)
    with pytest.raises(AssertionError):
        cut_below_use(desk)


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


@pytest.mark.parametrize("cycles", [40, pytest.param(1000, marks=pytest.mark.long)])
def test_p16_short_sessions_cost_what_they_last(engine: Engine, cycles: int) -> None:
    short_sessions(engine, cycles)


def short_sessions(engine: Engine, cycles: int) -> None:
    rng = random.Random(16)
    lab = lab_in("UTC", "160")
    desk = Desk(engine, lab, ManualClock(NOON.replace(day=23)))
    oracle = 0
    for _ in range(cycles):
        view = desk.ask("ada", "quarter")
        ref = desk.start(view)
        began = desk.clock.now()
        desk.clock.advance(timedelta(milliseconds=rng.randint(20_000, 59_999)))
        desk.finish(ref)
        oracle += 250 * ((desk.clock.now() - began) // timedelta(milliseconds=1))
        desk.clock.advance(timedelta(seconds=1))
        desk.tick()
    assert -sum_of(engine, "charge").mgpu_ms == oracle
    desk.check()


@pytest.mark.parametrize("step_ms", [1000, 60_000])
def test_p16_catches_a_meter_that_rounds_down(
    memory_engine: Engine, monkeypatch: pytest.MonkeyPatch, step_ms: int
) -> None:
    """The negative control: to whole seconds, and to whole minutes, which makes them free."""

    def rounded(weight_mgpu: int, for_ms: int) -> GpuTime:
        return GpuTime(weight_mgpu * (for_ms // step_ms) * step_ms)

    monkeypatch.setattr(GpuTime, "of", rounded)
    with pytest.raises(AssertionError):
        short_sessions(memory_engine, 20)
