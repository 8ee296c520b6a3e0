"""How fast hours are used: by day in a zone, and how long they last. Pure."""

from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from quota.amount import GpuTime
from quota.calendar import week_at
from quota.pace import lasts_until, use_by_day
from quota.store.usage import ChargeLine
from tests.quota.books import NOON, hours

UTC_ZONE, BERLIN = ZoneInfo("UTC"), ZoneInfo("Europe/Berlin")
WEEK = week_at(None, UTC_ZONE, NOON)


def line(from_at: datetime, until_at: datetime, amount: GpuTime) -> ChargeLine:
    return ChargeLine(account="ada", lease_id=UUID(int=1), flavor="whole", from_at=from_at,
                      until_at=until_at, amount=amount)  # fmt: skip


def test_a_session_over_midnight_is_split_there_in_its_own_zone() -> None:
    assert WEEK is not None
    evening = WEEK.starts_at + timedelta(days=1, hours=22)
    one = line(evening, evening + timedelta(hours=3), hours("3"))
    in_utc = use_by_day([one], WEEK.starts_at, WEEK.ends_at, UTC_ZONE)
    assert [day.amount.text() for day in in_utc] == ["0", "2", "1", "0", "0", "0", "0"]
    assert [day.day.day for day in in_utc] == [23, 24, 25, 26, 27, 28, 29]
    week = week_at(None, BERLIN, NOON)
    assert week is not None
    in_berlin = use_by_day([one], week.starts_at, week.ends_at, BERLIN)
    assert [day.amount.text() for day in in_berlin] == ["0", "1", "2", "0", "0", "0", "0"]


@given(st.lists(st.tuples(st.integers(0, 9_999), st.integers(1, 5_000), st.integers(0, 10**10)),
                max_size=8))  # fmt: skip
def test_the_days_of_a_week_sum_up_to_what_was_charged_in_it(
    sizes: list[tuple[int, int, int]],
) -> None:
    week = week_at(None, BERLIN, NOON)
    assert week is not None
    lines = []
    for start_min, long_min, amount in sizes:
        at = week.starts_at + timedelta(minutes=start_min)
        until = min(at + timedelta(minutes=long_min), week.ends_at)
        lines.append(line(at, until, GpuTime(amount)))
    days = use_by_day(lines, week.starts_at, week.ends_at, BERLIN)
    assert len(days) == 7
    whole = GpuTime.total(one.amount for one in lines)
    assert GpuTime.total(one.amount for one in days) == whole


def test_hours_last_as_they_were_used_so_far_and_at_most_until_the_week_ends() -> None:
    assert WEEK is not None
    # Sixty hours of the week are over at NOON: an hour for every ten.
    at = lasts_until(hours("5"), hours("6"), WEEK, now=NOON)
    assert at == NOON + timedelta(hours=50)
    assert lasts_until(hours("500"), hours("6"), WEEK, now=NOON) == WEEK.ends_at
    assert lasts_until(hours("0"), hours("6"), WEEK, now=NOON) == NOON


def test_nobody_can_tell_before_anything_was_used_or_when_the_week_has_just_begun() -> None:
    assert WEEK is not None
    early = WEEK.starts_at + timedelta(hours=11)
    assert lasts_until(hours("5"), GpuTime.ZERO, WEEK, now=NOON) is None
    assert lasts_until(hours("5"), hours("1"), WEEK, now=early) is None
    assert lasts_until(hours("5"), hours("1"), None, now=NOON) is None
