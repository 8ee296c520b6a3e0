"""A section's pool: scholars whose own hours are used up draw on it, up to a limit."""

from datetime import timedelta

import pytest

from quota.amount import GpuTime
from quota.errors import InsufficientBalance
from tests.quota.books import Desk, hours, lab_with


def follow(
    desk: Desk, *, pool: str = "3", most: str = "2", own: str = "1", tick_s: int = 15
) -> None:
    scholars = ", ".join(f"{who}: {{hours_per_week: {own}}}" for who in ("ada", "blaise"))
    section = f"pool: {{hours_per_week: {pool}, most_per_scholar: {most}}}"
    desk.follow(lab_with(f"scholars: {{{scholars}}}", section=section, tick_s=tick_s))


def pool_left(desk: Desk) -> GpuTime:
    return desk.budget("pool", "utc")


def test_a_running_session_goes_on_from_the_pool_up_to_the_scholars_limit(desk: Desk) -> None:
    follow(desk, tick_s=100)
    started_at = desk.clock.now()
    lease_id, _ = desk.run()
    desk.go(every_s=100, minutes=65)
    assert desk.books.lease(lease_id).lease.state == "active"
    assert "pool" in desk.sources()
    desk.go(every_s=100, hours=2)
    lease = desk.books.lease(lease_id).lease
    assert lease.end_reason == "exhausted"
    assert lease.paid_until == started_at + timedelta(hours=3), "1 h own, 2 h of the pool"
    assert pool_left(desk) == hours("1")


def test_nobody_is_warned_while_the_pool_still_pays(desk: Desk) -> None:
    follow(desk, pool="2", most="2", own="30 min", tick_s=60)
    desk.run()
    ends_at = desk.books.account("ada").sessions[0].ends_at
    assert ends_at == desk.clock.now() + timedelta(hours=2, minutes=30)
    desk.go(every_s=60, minutes=89)
    assert desk.books.account("ada").notices == ()
    desk.go(every_s=60, minutes=63)
    kinds = [one.kind for one in desk.books.account("ada").notices]
    assert kinds == ["stopped", *["warning"] * 4]


def test_a_start_draws_what_is_missing(desk: Desk) -> None:
    follow(desk, own="0")
    view = desk.ask()
    assert view.lease.state == "held"
    assert desk.sources() == {"pool": "10 min"}
    assert pool_left(desk) == hours("3") - hours("10 min")


def test_an_empty_pool_helps_nobody_and_what_is_too_little_stays_in_it(desk: Desk) -> None:
    follow(desk, pool="5 min", own="0")
    with pytest.raises(InsufficientBalance):
        desk.ask()
    with pytest.raises(InsufficientBalance):
        desk.ask("blaise")
    assert desk.books.account("ada").balance == GpuTime.ZERO
    assert desk.ask("blaise", "quarter").lease.state == "held", "5 minutes are 20 of a quarter"


def test_two_scholars_share_one_pool_and_nothing_is_made_or_lost(desk: Desk) -> None:
    follow(desk, pool="10 min", most="1000", own="0")
    desk.run("ada", "quarter")
    desk.run("blaise", "quarter")
    desk.go(every_s=30, minutes=25)
    for who in ("ada", "blaise"):
        assert desk.books.account(who).sessions == ()
    used = sum(charge.amount.mgpu_ms for who in ("ada", "blaise")
               for charge in desk.books.account(who).charges)  # fmt: skip
    ten = hours("10 min").mgpu_ms
    assert ten <= used <= ten + 2 * GpuTime.of(250, 50_000).mgpu_ms
    assert pool_left(desk) == GpuTime.ZERO


def test_spawn_options_count_what_the_pool_would_pay(desk: Desk) -> None:
    follow(desk, own="0", most="1")
    whole = next(x for x in desk.books.spawn_options("ada").flavors if x.flavor.name == "whole")
    assert (whole.refusal, whole.lasts_s) == (None, 3600)
    follow(desk, own="0", most="0")
    whole = next(x for x in desk.books.spawn_options("ada").flavors if x.flavor.name == "whole")
    assert whole.refusal is not None


def test_a_pool_begins_anew_each_week(desk: Desk) -> None:
    follow(desk, pool="1", most="1", own="0")
    desk.use(hours=1, minutes=5)
    with pytest.raises(InsufficientBalance):
        desk.ask()
    desk.clock.advance(timedelta(days=7))
    assert desk.ask().lease.state == "held"
    assert pool_left(desk) <= hours("50 min")


def test_a_larger_pool_counts_at_once(desk: Desk) -> None:
    follow(desk, pool="10 min", own="0")
    desk.ask()
    assert pool_left(desk) == GpuTime.ZERO
    follow(desk, pool="2", own="0")
    desk.ask("blaise")
    assert pool_left(desk) == hours("2") - hours("20 min")
