"""Refunds: what an incident cost comes back exactly, once."""

from datetime import datetime, timedelta
from itertools import pairwise
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota.amount import GpuTime
from quota.audit import By
from quota.errors import BadAmount, IdConflict
from quota.refunding import Incident, lost_in
from quota.store.usage import ChargeLine
from tests.quota.books import NOON, Desk, hours, lab_with

OLGA = By(actor="olga")


def incident(start_min: float, end_min: float, *, name: str = "cooling") -> Incident:
    start, end = timedelta(minutes=start_min), timedelta(minutes=end_min)
    return Incident(id=name, starts_at=NOON + start, ends_at=NOON + end, reason="cooling failed")


def test_a_refund_is_exact_and_given_once(desk: Desk) -> None:
    desk.use("ada", "whole", hours=1)
    desk.use("blaise", "quarter", hours=1)
    hit = incident(30.5, 90)
    tried = {one.account: one.amount for one in desk.office.refund(hit, by=OLGA, dry_run=True)}
    assert tried == {"ada": hours("29.5 min"), "blaise": hours("7.5 min")}
    assert desk.balance() == "9.00"
    for is_new in (True, False):
        found = desk.office.refund(hit, by=OLGA)
        assert {one.account: one.amount for one in found} == tried
        assert {one.is_new for one in found} == {is_new}
    assert desk.books.account("ada").balance == hours("9") + hours("29.5 min")
    assert sum(line.action == "refund" for line in desk.office.trail()) == 2


def test_a_running_session_is_refunded_and_runs_on(desk: Desk) -> None:
    lease_id, _ = desk.run()
    desk.go(every_s=60, minutes=30)
    (view,) = desk.office.refund(incident(10, 20), by=OLGA)
    assert view.amount == hours("10 min")
    desk.go(every_s=60, minutes=10)
    assert desk.books.lease(lease_id).lease.state == "active"
    assert desk.books.account("ada").balance == hours("10") - hours("30 min")


def test_what_comes_to_light_later_is_added_when_asked_again(desk: Desk) -> None:
    _, ref = desk.run()
    desk.go(every_s=60, minutes=10)
    desk.clock.advance(timedelta(minutes=50))
    (first,) = desk.office.refund(incident(0, 40), by=OLGA)
    assert first.amount == hours("10 min"), "nobody knows yet what ran while the worker was down"
    desk.finish(ref)
    desk.tick()
    (second,) = desk.office.refund(incident(0, 40), by=OLGA)
    assert (second.amount, second.is_new) == (hours("40 min"), False)
    assert desk.books.account("ada").balance == hours("10") - hours("20 min")


def test_time_that_help_paid_is_not_refunded_to_the_scholar(desk: Desk) -> None:
    desk.follow(lab_with(section="help_hours_per_week: 2"))
    desk.run()
    desk.go(every_s=60, minutes=10)
    desk.office.attach(uuid4(), "ada", server_name="", mode="observe", minutes=10,
                       by=By(actor="tomas"), reason="asked")  # fmt: skip
    desk.go(every_s=60, minutes=20)
    (view,) = desk.office.refund(incident(0, 30), by=OLGA)
    assert view.amount == hours("20 min")
    assert desk.books.account("ada").balance == hours("10")


def test_a_refund_pays_a_debt_and_ends_after_the_days_of_policy(desk: Desk) -> None:
    desk.run("emeka")
    desk.clock.advance(timedelta(hours=3))
    desk.go(minutes=1)
    assert desk.books.account("emeka").debt > hours("2")
    (view,) = desk.office.refund(incident(0, 180), by=OLGA)
    assert view.amount == hours("3")
    account = desk.books.account("emeka")
    assert (account.debt, account.balance > hours("0.9")) == (hours("0"), True)
    (lot,) = [lot for lot in account.lots if lot.source == "refund"]
    assert lot.ends_at == desk.clock.now() + timedelta(days=14)


def test_only_some_can_be_refunded_and_those_untouched_get_nothing(desk: Desk) -> None:
    desk.use("ada", hours=1)
    desk.use("blaise", hours=1)
    found = desk.office.refund(incident(0, 120), by=OLGA, names=["blaise", "chen"])
    assert [one.account for one in found] == ["blaise"]
    assert desk.office.refund(incident(-60, 0, name="before"), by=OLGA) == []


def test_an_incident_has_an_end_in_the_past_and_one_meaning(desk: Desk) -> None:
    desk.use(hours=1)
    for start, end in ((10, 10), (20, 10), (0, 600)):
        with pytest.raises(BadAmount):
            desk.office.refund(incident(start, end), by=OLGA)
    desk.office.refund(incident(0, 10), by=OLGA)
    with pytest.raises(IdConflict):
        desk.office.refund(incident(0, 20), by=OLGA)
    assert desk.books.account("ada").balance == hours("9") + hours("10 min")


@given(
    cuts=st.lists(st.integers(1, 10**7), min_size=2, max_size=10, unique=True).map(sorted),
    weight=st.integers(1, 8000), parts=st.integers(1, 6),
)  # fmt: skip
def test_the_refunds_of_the_parts_of_a_time_sum_to_the_refund_of_all(
    cuts: list[int], weight: int, parts: int
) -> None:
    def instant(ms: int) -> datetime:
        return NOON + timedelta(milliseconds=ms)

    def hit(start: int, end: int) -> Incident:
        return Incident(id="x", starts_at=instant(start), ends_at=instant(end), reason="x")

    lines = [
        ChargeLine(account="ada", lease_id=uuid4(), flavor="whole", from_at=instant(a),
                   until_at=instant(b), amount=GpuTime.of(weight, b - a))
        for a, b in pairwise(cuts)
    ]  # fmt: skip
    length = (cuts[-1] - cuts[0]) // parts
    edges = [cuts[0] + length * part for part in range(parts)] + [cuts[-1]]
    whole = lost_in(lines, hit(cuts[0], cuts[-1]))
    assert whole == GpuTime.of(weight, cuts[-1] - cuts[0])
    split = [lost_in(lines, hit(a, b)) for a, b in pairwise(edges) if a < b]
    assert GpuTime.total(split) == whole
