"""What a section will have used when its week ends: its pace, and never more than was given."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from quota.amount import GpuTime
from quota.burn import LEAST_RAN, used_at_end
from quota.calendar import Week
from quota.outlook import section_outlooks
from quota.standings import lab_standing
from quota.tallies import tallies_of
from tests.quota.books import Desk, hours

START = datetime(2026, 11, 23, tzinfo=UTC)
WEEK = Week(None, None, START, START + timedelta(days=7))


@pytest.mark.parametrize(
    ("used", "given", "ran", "coming"),
    [
        ("21", "168", timedelta(days=1), "147"),
        ("24", "100", timedelta(days=1), "100"),
        ("0", "100", timedelta(days=3), "0"),
        ("5", "100", timedelta(days=7), "5"),
        # In the first hours nobody knows a pace.
        ("1", "100", timedelta(minutes=1), "28"),
    ],
)
def test_the_pace_of_the_week_goes_on(used: str, given: str, ran: timedelta, coming: str) -> None:
    found = used_at_end(used=GpuTime.hours(used), given=GpuTime.hours(given), week=WEEK,
                        now=START + ran)  # fmt: skip
    assert found == GpuTime.hours(coming)


def test_the_first_hours_are_not_stretched_and_then_it_is_continuous() -> None:
    used, given = GpuTime.hours(1), GpuTime.hours(1000)
    edge = START + LEAST_RAN
    before, at, after = (
        used_at_end(used=used, given=given, week=WEEK, now=edge + timedelta(seconds=one))
        for one in (-60, 0, 60)
    )
    assert before == at > after


def test_a_section_is_told_its_own(engine: Engine) -> None:
    desk = Desk(engine)
    desk.use("ada", "whole", hours=3)
    utc, berlin = section_outlooks(desk.lab, lab_standing(desk.books))
    assert utc.used == hours("3")
    # Since Monday 63 of the week's 168 hours are over.
    assert utc.used_at_end == hours("8")
    assert berlin.used_at_end == GpuTime.ZERO


def test_what_did_not_change_is_not_counted(engine: Engine) -> None:
    desk = Desk(engine)
    lease_id, _ = desk.run("ada", "whole")
    lease = desk.books.lease(lease_id).lease
    assert not tallies_of([(lease, lease)])
