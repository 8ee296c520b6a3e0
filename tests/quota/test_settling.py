"""Settling may come at any time: nothing depends on a job that runs on Monday at midnight."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from quota.allowances import settle
from quota.amount import GpuTime
from quota.lab import Lab
from quota.ledger import Account
from tests.quota.books import PROGRAM, lab_with

START = datetime(2026, 11, 20, tzinfo=UTC)
LAST = datetime(2027, 1, 8, 12, tzinfo=UTC)
LEASE = UUID(int=1)


def lab_of(percent: int, lasts_weeks: int, *, away: bool) -> Lab:
    more = f"roll_over: {{percent: {percent}, lasts_weeks: {lasts_weeks}, most_hours: 8}}\n"
    if away:
        more += "scholars: {ada: {absences: [{week: 2, use_in: [3, 4]}]}}\n"
    return lab_with(PROGRAM + more)


def settled(lab: Lab, debt_ms: int, moments: list[datetime]) -> Account:
    account = Account(id=1, hub_id="main", kind="scholar", name="ada")
    until = START + timedelta(milliseconds=debt_ms)
    account.charge(LEASE, weight_mgpu=1000, start=START, until=until, from_hold=GpuTime.ZERO,
                   at=until)  # fmt: skip
    for now in moments:
        settle(account, [], lab=lab, section=lab.sections["utc"], now=now)
    return account


@given(
    percent=st.sampled_from([0, 1, 50, 100]),
    lasts_weeks=st.integers(1, 3),
    away=st.booleans(),
    debt_ms=st.integers(1, 60 * 3_600_000),
    minutes=st.lists(st.integers(0, 46 * 24 * 60), max_size=12),
)
def test_settling_often_or_once_comes_to_the_same(
    *, percent: int, lasts_weeks: int, away: bool, debt_ms: int, minutes: list[int]
) -> None:
    lab = lab_of(percent, lasts_weeks, away=away)
    often = [datetime(2026, 11, 23, tzinfo=UTC) + timedelta(minutes=m) for m in sorted(minutes)]
    seen = [
        (account.posted, account.debt,
         sorted((lot.id, lot.source, lot.amount, lot.remaining) for lot in account.lots))
        for account in (settled(lab, debt_ms, [*often, LAST]), settled(lab, debt_ms, [LAST]))
    ]  # fmt: skip
    assert seen[0] == seen[1]


def test_settling_twice_writes_nothing_more() -> None:
    lab = lab_of(50, 1, away=True)
    account = settled(lab, 1, [LAST])
    written = len(account.new_entries)
    settle(account, [], lab=lab, section=lab.sections["utc"], now=LAST)
    assert len(account.new_entries) == written
