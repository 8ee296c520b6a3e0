"""Weeks tile time in every zone, whatever the clocks do."""

import io
import struct
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota.amount import GpuTime
from quota.calendar import (
    Week,
    days_later,
    midnight,
    week_after,
    week_at,
    week_from,
)
from quota.entitlement import entitlement
from quota.lab import Lab
from quota.lab_people import Section
from quota.lab_program import Program, ProgramWeek

HOUR = timedelta(hours=1)
MS = timedelta(milliseconds=1)
zones = st.sampled_from(sorted(available_timezones())).map(ZoneInfo)
instants = st.datetimes(
    min_value=datetime(1900, 1, 1),  # noqa: DTZ001  # Hypothesis adds the zone
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


def program_of(*spans: tuple[str, str]) -> Program:
    weeks = [
        {"number": number, "topic": f"topic {number}", "starts_on": start, "ends_on": end}
        for number, (start, end) in enumerate(spans, start=1)
    ]
    return Program.model_validate({"starts_on": spans[0][0], "weeks": weeks})


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def all_weeks(program: Program, zone: ZoneInfo) -> Iterator[Week]:
    week = week_from(program, zone, at("1900-01-01"))
    while week is not None:
        yield week
        week = week_after(program, zone, week)


@given(zones, instants)
def test_the_week_of_an_instant_contains_it_and_weeks_tile_time(
    zone: ZoneInfo, now: datetime
) -> None:
    week = week_at(None, zone, now)
    assert week is not None
    assert week.starts_at <= now < week.ends_at
    assert week_at(None, zone, week.starts_at) == week
    assert week_at(None, zone, week.ends_at - MS) == week
    before = week_at(None, zone, week.starts_at - MS)
    assert before is not None
    assert before.ends_at == week.starts_at
    after = week_after(None, zone, week)
    assert after is not None
    assert after.starts_at == week.ends_at
    assert week_at(None, zone, week.ends_at) == after
    assert week_from(None, zone, week.starts_at) == week
    assert week_from(None, zone, week.starts_at + MS) == after


@given(zones, instants, st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1))
def test_program_weeks_are_disjoint_and_break_only_where_the_program_does(
    zone: ZoneInfo, now: datetime, spans: list[tuple[int, int]]
) -> None:
    day, weeks = now.date(), []
    for number, (gap, length) in enumerate(spans, start=1):
        start = days_later(day, gap)
        end = days_later(start, length)
        weeks.append(ProgramWeek.model_construct(number=number, starts_on=start, ends_on=end))
        day = days_later(end, 1)
    program = Program.model_construct(starts_on=weeks[0].starts_on, weeks=tuple(weeks))
    found = list(all_weeks(program, zone))
    for week in found:
        assert week.starts_at < week.ends_at
        assert week_at(program, zone, week.starts_at) == week
        assert week_at(program, zone, week.ends_at - MS) == week
    for week, after in pairwise(found):
        assert week.ends_at <= after.starts_at
        if week.ends_at < after.starts_at:
            assert week_at(program, zone, week.ends_at) is None
            assert week_from(program, zone, week.ends_at) == after
    if found:
        assert week_at(program, zone, found[0].starts_at - MS) is None
        assert week_at(program, zone, found[-1].ends_at) is None
        assert week_after(program, zone, found[-1]) is None


@pytest.mark.parametrize(
    ("zone", "now", "starts_at", "ends_at", "hours"),
    [
        ("America/New_York", "2026-03-08T12:00", "2026-03-02T05:00", "2026-03-09T04:00", 167),
        ("America/New_York", "2026-11-01T12:00", "2026-10-26T04:00", "2026-11-02T05:00", 169),
        ("Europe/London", "2026-03-29T12:00", "2026-03-23T00:00", "2026-03-29T23:00", 167),
        ("Europe/London", "2026-10-25T12:00", "2026-10-18T23:00", "2026-10-26T00:00", 169),
        ("Australia/Lord_Howe", "2026-04-04T12:00", "2026-03-29T13:00", "2026-04-05T13:30", 168.5),
        ("Australia/Lord_Howe", "2026-10-03T12:00", "2026-09-27T13:30", "2026-10-04T13:00", 167.5),
        ("Asia/Kolkata", "2026-03-08T12:00", "2026-03-01T18:30", "2026-03-08T18:30", 168),
        # The whole of Friday 30 December 2011 never happened in Samoa.
        ("Pacific/Apia", "2011-12-30T09:59", "2011-12-26T10:00", "2012-01-01T10:00", 144),
        ("Pacific/Apia", "2011-12-30T10:00", "2011-12-26T10:00", "2012-01-01T10:00", 144),
        ("Europe/Berlin", "2026-12-31T23:30", "2026-12-27T23:00", "2027-01-03T23:00", 168),
        # From 23:30 on Sunday straight to 00:30 on Monday.
        ("America/Toronto", "1919-03-31T04:45", "1919-03-24T05:00", "1919-03-31T05:00", 168),
    ],
)
def test_weeks_around_changes_of_the_clock(
    zone: str, now: str, starts_at: str, ends_at: str, hours: float
) -> None:
    week = week_at(None, ZoneInfo(zone), at(now))
    assert week == Week(None, None, at(starts_at), at(ends_at))
    assert (week.ends_at - week.starts_at) / HOUR == hours


@pytest.mark.parametrize(
    ("zone", "day", "begins_at"),
    [
        ("America/Sao_Paulo", date(2018, 11, 4), "2018-11-04T03:00"),  # clocks jump to 01:00
        ("Asia/Beirut", date(2022, 3, 27), "2022-03-26T22:00"),  # the same
        ("America/Havana", date(2026, 11, 1), "2026-11-01T04:00"),  # midnight comes twice
        ("Pacific/Apia", date(2011, 12, 30), "2011-12-30T10:00"),  # skipped, so begins with ...
        ("Pacific/Apia", date(2011, 12, 31), "2011-12-30T10:00"),  # ... the next
    ],
)
def test_a_day_begins_even_where_midnight_does_not_exist(
    zone: str, day: date, begins_at: str
) -> None:
    instant = midnight(day, ZoneInfo(zone))
    assert instant == at(begins_at)
    assert instant.astimezone(ZoneInfo(zone)).date() >= day
    assert (instant - MS).astimezone(ZoneInfo(zone)).date() < day


@pytest.mark.parametrize(
    ("zone", "edge"), [("America/Sao_Paulo", "2018-11-04"), ("Asia/Beirut", "2022-03-27")]
)
def test_program_weeks_meet_where_midnight_does_not_exist(zone: str, edge: str) -> None:
    day = date.fromisoformat(edge)
    first = (str(days_later(day, -7)), str(days_later(day, -1)))
    second = (edge, str(days_later(day, 6)))
    one, two = all_weeks(program_of(first, second), ZoneInfo(zone))
    assert one.ends_at == two.starts_at
    assert (one.ends_at - one.starts_at) / HOUR == 168
    assert (two.ends_at - two.starts_at) / HOUR == 167


def test_a_week_of_the_one_day_that_was_skipped_never_happens() -> None:
    program = program_of(
        ("2011-12-23", "2011-12-29"), ("2011-12-30", "2011-12-30"), ("2011-12-31", "2012-01-06")
    )
    assert [w.number for w in all_weeks(program, ZoneInfo("Pacific/Apia"))] == [1, 3]
    assert [w.number for w in all_weeks(program, ZoneInfo("Pacific/Auckland"))] == [1, 2, 3]


def test_outside_the_program_there_is_no_week() -> None:
    program = program_of(("2026-06-01", "2026-06-07"), ("2026-06-15", "2026-06-21"))
    zone = ZoneInfo("UTC")
    inside = week_at(program, zone, at("2026-06-07T23:59"))
    assert inside == Week(1, "topic 1", at("2026-06-01"), at("2026-06-08"))
    for outside in ("2026-05-31T23:59", "2026-06-08", "2026-06-14T23:59", "2026-06-22"):
        assert week_at(program, zone, at(outside)) is None
    after_break = week_from(program, zone, at("2026-06-08"))
    assert after_break is not None
    assert after_break.number == 2
    assert week_after(program, zone, after_break) is None
    assert week_from(program, zone, at("2026-06-22")) is None


def test_a_week_gives_its_own_hours_or_the_sections() -> None:
    section = Section(name="a", time_zone="UTC", hours_per_week=GpuTime.hours(10))
    lab = Lab.model_validate(
        {
            "program": {
                "starts_on": "2026-06-01",
                "weeks": [
                    {"number": 1, "starts_on": "2026-06-01", "ends_on": "2026-06-07"},
                    {"number": 2, "starts_on": "2026-06-08", "ends_on": "2026-06-14", "hours": 20},
                    {"number": 3, "starts_on": "2026-06-15", "ends_on": "2026-06-21", "hours": 0},
                ],
            },
            "sections": {"a": section},
            "flavors": {"cpu": {"weight_mgpu": 0}},
            "images": {"base": {"docker": "gpulab/base:latest"}},
        }
    )
    assert lab.program is not None
    given_hours = [
        entitlement(lab, section, "ada", week).hours.hours_text()
        for week in all_weeks(lab.program, section.zone)
    ]
    assert given_hours == ["10.00", "20.00", "0.00"]
    plain = week_at(None, section.zone, at("2026-06-10"))
    assert plain is not None
    assert entitlement(lab, section, "ada", plain).hours == GpuTime.hours(10)
    without = lab.model_copy(update={"program": None})
    assert entitlement(without, section, "ada", plain).hours == GpuTime.hours(10)


def zone_of(rule: str) -> ZoneInfo:
    """Make a zone from a POSIX rule: the footer of a TZif file with nothing else in it."""
    part = b"TZif2" + bytes(15) + struct.pack(">6l", 0, 0, 0, 0, 1, 4) + bytes(6) + b"AAA\0"
    return ZoneInfo.from_file(io.BytesIO(part * 2 + f"\n{rule}\n".encode()))


@pytest.mark.parametrize(
    "rule",
    [
        "AAA-1BBB-2,M3.5.0/23:30,M10.5.1/0:30",  # over midnight to Monday, and back to Sunday
        "AAA-1BBB-2,M3.5.1/0,M10.5.1/1",  # Monday without a midnight, and with two
    ],
)
def test_weeks_tile_time_where_clocks_change_around_mondays_midnight(rule: str) -> None:
    zone = zone_of(rule)
    now, hours = at("2026-01-05T12:00"), []
    while now < at("2027-01-01"):
        week = week_at(None, zone, now)
        assert week is not None
        for minutes in range(-180, 180, 15):
            near = week.ends_at + timedelta(minutes=minutes)
            found = week_at(None, zone, near)
            assert found is not None
            assert found.starts_at <= near < found.ends_at
            assert (found == week) == (minutes < 0)
        hours.append((week.ends_at - week.starts_at) / HOUR)
        now = week.ends_at
    assert set(hours) == {167, 168, 169}


def test_the_calendar_has_ends() -> None:
    assert days_later(date(2026, 2, 28), 1) == date(2026, 3, 1)
    for day, days in ((date.max, 1), (date.min, -1), (date.max, 10**12)):
        with pytest.raises(ValueError, match="there is no day"):
            days_later(day, days)
