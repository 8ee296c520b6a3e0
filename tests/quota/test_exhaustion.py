"""When GPU time runs out, and how a charge is split: against brute force, second by second."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from quota.amount import GpuTime
from quota.exhaustion import LOOK_AHEAD, exhausts_at
from quota.leases import Lease
from quota.ledger import Account, Lot
from quota.posting import post_use, set_hold
from tests.quota.books import NOON

SECOND = timedelta(seconds=1)
# Seconds from NOON: small enough to walk through one by one.
SPANS = st.tuples(st.integers(-20, 40), st.integers(1, 60), st.integers(0, 40_000))


def lots_of(spans: list[tuple[int, int, int]]) -> list[Lot]:
    """Lots from (start, length, amount in thousandths of a GPU x seconds)."""
    return [
        Lot(id=UUID(int=number), source="grant", amount=GpuTime(amount * 1000),
            remaining=GpuTime(amount * 1000), starts_at=NOON + start * SECOND,
            ends_at=NOON + (start + length) * SECOND, author="", reason="")
        for number, (start, length, amount) in enumerate(spans, start=1)
    ]  # fmt: skip


def lease_of(number: int, weight: int, charged_s: int = 0) -> Lease:
    at = NOON - charged_s * SECOND
    return Lease(
        id=UUID(int=number), account_id=1, server_name=str(number), flavor="f", image="i",
        state="active", weight_mgpu=weight, share_mgpu=1, memory_mib=0, requested_at=at,
        asked_at=at, ref="r", started_at=at, observed_until=at, charged_until=at,
    )  # fmt: skip


@given(st.lists(SPANS, max_size=5), st.lists(st.sampled_from([1, 142, 250, 1000]), min_size=1,
                                             max_size=3))  # fmt: skip
def test_the_end_is_the_first_millisecond_that_is_not_paid(
    spans: list[tuple[int, int, int]], weights: list[int]
) -> None:
    leases = [lease_of(number, weight) for number, weight in enumerate(weights)]
    found = exhausts_at(lots_of(spans), GpuTime.ZERO, leases, now=NOON)
    assert found == NOON + timedelta(milliseconds=_walked(spans, sum(weights)))


def _walked(spans: list[tuple[int, int, int]], weight: int) -> int:
    """Burn second by second, earliest end first, and the last second by the millisecond."""
    purses = [[start, start + length, amount * 1000] for start, length, amount in spans]
    for second in range(200):
        left = weight * 1000
        for purse in sorted(purses, key=lambda one: one[1]):
            if purse[0] <= second < purse[1]:
                drawn = min(left, purse[2])
                purse[2] -= drawn
                left -= drawn
        if left:
            return second * 1000 + (weight * 1000 - left) // weight
    raise AssertionError("all lots end before that")


def test_nothing_that_costs_never_runs_out() -> None:
    assert exhausts_at([], GpuTime.ZERO, [], now=NOON) is None
    assert exhausts_at([], GpuTime.ZERO, [lease_of(1, 0)], now=NOON) is None


def test_what_is_far_off_is_not_in_sight() -> None:
    endless = lots_of([(0, 30 * 86_400, 10**9)])
    assert exhausts_at(endless, GpuTime.ZERO, [lease_of(1, 1000)], now=NOON) is None


def test_the_next_week_carries_on_where_this_one_ends() -> None:
    lots = lots_of([(0, 60, 60_000)])
    next_week = (NOON + 60 * SECOND, GpuTime.of(1000, 30_000))
    found = exhausts_at(lots, GpuTime.ZERO, [lease_of(1, 1000)], now=NOON, next_week=next_week)
    assert found == NOON + 90 * SECOND
    assert timedelta(days=7) < LOOK_AHEAD


def test_one_who_ran_out_since_the_last_charge_is_told_when() -> None:
    lots = lots_of([(-100, 500, 40_000)])
    assert exhausts_at(lots, GpuTime.ZERO, [lease_of(1, 1000, 60)], now=NOON) == NOON - 20 * SECOND
    assert exhausts_at([], GpuTime.ZERO, [lease_of(1, 1000)], now=NOON) == NOON, "paid till now"
    owed = GpuTime.of(1000, 5_000)
    assert exhausts_at([], owed, [lease_of(1, 1000, 3)], now=NOON) == NOON - 3 * SECOND


# -- charges are split where lots begin and end ------------------------------------------------


def account_with(spans: list[tuple[int, int, int]]) -> Account:
    account = Account(id=1, hub_id="main", kind="scholar", name="ada")
    for lot in lots_of(spans):
        account.give(replace(lot, remaining=GpuTime.ZERO), at=NOON - 100 * SECOND)
    return account


@settings(max_examples=200)
@given(st.lists(SPANS, max_size=5), st.lists(st.integers(1, 30_000), min_size=1, max_size=6),
       st.sampled_from([1, 143, 1000, 2500]))  # fmt: skip
def test_pieces_sum_to_the_whole_however_often_it_is_posted(
    spans: list[tuple[int, int, int]], steps_ms: list[int], weight: int
) -> None:
    account, lease, until = account_with(spans), lease_of(9, weight, 15), NOON - 15 * SECOND
    given_before, lots = account.posted, list(account.lots)
    for step_ms in steps_ms:
        until += timedelta(milliseconds=step_ms)
        lease = post_use(account, lease, until, at=until)
    cost = GpuTime.of(weight, sum(steps_ms))
    assert given_before - account.posted == cost
    assert account.posted == GpuTime.total(lot.remaining for lot in lots) - account.debt
    charges = [entry for entry in account.new_entries if entry.kind == "charge"]
    assert GpuTime.total(-entry.posted for entry in charges) == cost
    for entry in charges:
        lot = next((one for one in lots if one.id == entry.lot_id), None)
        assert entry.from_at is not None
        assert entry.until_at is not None
        assert lot is None or lot.starts_at <= entry.from_at < entry.until_at <= lot.ends_at
    once = account_with(spans)
    post_use(once, lease_of(9, weight, 15), until, at=until)
    assert once.posted == account.posted
    assert len({(entry.transfer_id, entry.part) for entry in account.new_entries}) == account.seq


@given(st.integers(0, 40_000), st.integers(0, 60_000), st.integers(0, 60_000))
def test_a_hold_never_takes_more_than_is_available(amount: int, first: int, then: int) -> None:
    account, lease = account_with([(0, 60, amount)]), lease_of(9, 1000)
    lease = set_hold(account, lease, GpuTime(first * 1000), at=NOON)
    lease = set_hold(account, lease, GpuTime(then * 1000), at=NOON)
    assert lease.hold == account.held == GpuTime(min(then, amount) * 1000)
    assert account.available(NOON) >= GpuTime.ZERO


def test_an_instant_before_the_last_charge_charges_nothing() -> None:
    account, lease = account_with([(0, 60, 1000)]), lease_of(9, 1000)
    assert post_use(account, lease, NOON - SECOND, at=NOON) is lease
    free = post_use(account, lease_of(9, 0), NOON + SECOND, at=NOON)
    assert free.charged_until == NOON + SECOND
    assert [entry.kind for entry in account.new_entries] == ["give"]
