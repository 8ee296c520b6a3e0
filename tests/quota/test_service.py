"""The use cases of the books against a real store: admit, meter, warn, stop, grant."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from quota.amount import GpuTime
from quota.audit import By
from quota.errors import GrantConflict, InsufficientBalance, LeaseConflict, TooManySessions
from tests.quota.books import Desk, hours


def test_a_session_is_charged_from_its_containers_start_to_its_end(desk: Desk) -> None:
    lease_id, ref = desk.run()
    desk.go(minutes=90)
    desk.finish(ref)
    desk.tick()
    view = desk.books.account("ada")
    assert view.balance.hours_text() == "8.50"
    assert view.held == hours("0")
    assert view.charges[0].lease_id == lease_id
    assert desk.books.lease(lease_id).lease.end_reason == "server_gone"
    assert desk.containers == {}, "removed after its end was posted"


def test_time_before_the_container_runs_is_free(desk: Desk) -> None:
    view = desk.ask()
    desk.go(minutes=5)
    assert desk.balance() == "10.00"
    assert desk.books.lease(view.lease.id).lease.state == "held"


def test_a_hold_without_a_container_is_voided_after_the_spawn_timeout(desk: Desk) -> None:
    view = desk.ask()
    assert desk.books.account("ada").held > hours("0")
    desk.go(minutes=11)
    lease = desk.books.lease(view.lease.id).lease
    assert (lease.state, lease.end_reason) == ("ended", "never_started")
    assert desk.books.account("ada").held == hours("0")
    assert all(gpu.used_mgpu == 0 for gpu in desk.books.load().gpus)


def test_p17_exhaustion_stops_the_session_and_warns_before(desk: Desk) -> None:
    lease_id, _ref = desk.run("emeka")
    results = desk.go(hours=1, minutes=1)
    lease = desk.books.lease(lease_id).lease
    assert lease.end_reason == "exhausted"
    assert lease.paid_until is not None
    assert lease.ended_at is not None
    assert lease.ended_at - lease.paid_until <= timedelta(seconds=50)
    kinds = [notice.kind for notice in desk.books.account("emeka").notices]
    assert kinds == ["stopped", "warning", "warning", "warning", "warning"]
    assert sum(len(result.stops) for result in results) >= 1
    with pytest.raises(InsufficientBalance) as refusal:
        desk.ask("emeka")
    assert refusal.value.retry_at is not None
    assert desk.ask("emeka", "cpu").lease.state == "held"


def test_a_grant_lets_an_exhausted_scholar_start_again(desk: Desk) -> None:
    desk.run("emeka")
    desk.go(hours=1, minutes=1, every_s=17)
    grant_id = uuid4()
    view = desk.office.grant(
        grant_id, "emeka", hours("2"), by=By(actor="olga"), reason="demo week"
    )
    again = desk.office.grant(
        grant_id, "emeka", hours("2"), by=By(actor="olga"), reason="demo week"
    )
    assert view == again
    with pytest.raises(GrantConflict):
        desk.office.grant(grant_id, "emeka", hours("3"), by=By(actor="olga"), reason="demo week")
    account = desk.books.account("emeka")
    assert account.debt == hours("0"), "the overspend is paid from the grant"
    assert hours("1.99") < account.balance < hours("2")
    assert desk.ask("emeka").lease.state == "held"


def test_the_same_id_with_another_body_is_a_conflict(desk: Desk) -> None:
    view = desk.ask()
    assert desk.ask(lease_id=view.lease.id).lease == view.lease
    with pytest.raises(LeaseConflict):
        desk.ask(flavor="quarter", lease_id=view.lease.id)


def test_a_second_gpu_session_is_refused_beyond_the_ceiling(desk: Desk) -> None:
    desk.run()
    with pytest.raises(TooManySessions):
        desk.ask(server="second")


def test_the_line_moves_when_a_slot_is_free(desk: Desk) -> None:
    _, ref = desk.run("ada")
    desk.run("blaise")
    third = desk.ask("chen")
    assert third.lease.state == "waiting"
    assert third.line is not None
    assert (third.line.position, third.line.reason) == (1, "all_taken")
    assert third.line.estimated_wait_s == 10 * 3600
    desk.clock.advance(timedelta(seconds=1))
    fourth = desk.ask("dina")
    assert fourth.line is not None
    assert fourth.line.position == 2
    desk.clock.advance(timedelta(seconds=30))
    desk.finish(ref)
    desk.tick()
    assert desk.ask("dina", lease_id=fourth.lease.id).lease.state == "waiting"
    assert desk.ask("chen", lease_id=third.lease.id).lease.state == "held"


def test_a_silent_waiter_has_left_the_line(desk: Desk) -> None:
    desk.run("ada")
    desk.run("blaise")
    third = desk.ask("chen")
    desk.go(seconds=135)
    assert desk.books.lease(third.lease.id).lease.end_reason == "left_line"


def test_an_offer_is_kept_for_who_is_away_then_passed_on(desk: Desk) -> None:
    view = desk.ask("ada", present=False)
    assert view.line is not None
    assert view.line.offered
    desk.go(minutes=5)
    assert desk.balance() == "10.00"
    desk.go(minutes=6)
    assert desk.books.lease(view.lease.id).lease.end_reason == "not_there"
    assert all(gpu.used_mgpu == 0 for gpu in desk.books.load().gpus)
    again = desk.ask("ada", present=False)
    assert desk.ask("ada", lease_id=again.lease.id).lease.state == "held"


def test_a_lost_server_makes_way_for_its_successor(desk: Desk) -> None:
    old, _ref = desk.run()
    new = uuid4()
    first = desk.ask(lease_id=new)
    assert first.line is not None
    assert first.line.reason == "previous_ending"
    desk.go(seconds=15)
    desk.go(seconds=15)
    assert desk.ask(lease_id=new).lease.state == "held"
    assert desk.books.lease(old).lease.state == "ended"


def test_a_stop_by_a_person_is_verified_at_the_runtime(desk: Desk) -> None:
    lease_id, ref = desk.run()
    desk.clock.advance(timedelta(minutes=30))
    desk.books.stop_lease(lease_id, "person")
    result = desk.tick()
    assert [order.ref for order in result.stops] == [ref]
    assert desk.books.lease(lease_id).lease.state == "stopping"
    desk.finish(ref)
    desk.tick()
    assert desk.books.lease(lease_id).lease.end_reason == "person"
    assert desk.balance() == "9.50"


def test_a_cpu_session_without_a_lease_is_adopted(desk: Desk) -> None:
    view = desk.ask("ada", "cpu")
    ref = desk.start(view)
    one = desk.containers.pop(ref)
    desk.containers["stray"] = replace(one, ref="stray", lease_id=None, server_name="other")
    assert len(desk.tick().adopted) == 1
    desk.go(minutes=1)
    states = {s.lease.server_name: s.lease.state for s in desk.books.account("ada").sessions}
    assert states["other"] == "active"


def test_a_gpu_session_without_a_lease_is_charged_and_stopped(desk: Desk) -> None:
    view = desk.ask()
    ref = desk.start(view)
    one = desk.containers.pop(ref)
    desk.containers["stray"] = replace(one, ref="stray", lease_id=uuid4(), account="blaise")
    desk.go(minutes=1)
    desk.go(minutes=1)
    charges = desk.books.account("blaise").charges
    assert [charge.amount for charge in charges] == [GpuTime.of(1000, 15_000)]
    assert "stray" not in desk.containers


def test_p12_the_week_ends_under_a_running_session(desk: Desk) -> None:
    desk.clock.set(desk.clock.now().replace(day=29, hour=23, minute=30))
    _lease_id, ref = desk.run()
    desk.go(hours=1)
    view = desk.books.account("ada")
    assert view.balance.hours_text() == "9.50"
    assert [lot.amount.hours_text() for lot in view.lots] == ["10.00"]
    desk.finish(ref)
    desk.tick()
    assert desk.balance() == "9.50"


def test_p11_a_clock_set_back_charges_nothing_negative(desk: Desk) -> None:
    _, _ref = desk.run()
    desk.go(minutes=30)
    before = desk.books.account("ada").balance
    desk.clock.advance(timedelta(hours=-1))
    desk.tick()
    desk.go(minutes=1)
    assert desk.books.account("ada").balance <= before
    assert all(charge.amount > hours("0") for charge in desk.books.account("ada").charges)
