"""Due dates, weekly hours and blackouts as instants: every zone, both edges of summer time."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota.agenda import blackouts, co_working, due_in, office_hours
from quota.calendar import local_instant
from quota.lab import Lab
from tests.quota.books import PROGRAM, lab_with

SECOND = timedelta(seconds=1)
zones = st.sampled_from(sorted(available_timezones())).map(ZoneInfo)
on_the_clock = st.datetimes(
    min_value=datetime(1972, 1, 2),  # noqa: DTZ001  # the very thing that has no zone
    max_value=datetime(2099, 1, 1),  # noqa: DTZ001
).map(lambda at: at.replace(second=0, microsecond=0))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def in_zone(zone: str, more: str) -> Lab:
    lab = lab_with(more)
    return lab.model_copy(update={
        "sections": {"utc": lab.sections["utc"].model_copy(update={"time_zone": zone})}
    })  # fmt: skip


@given(zones, on_the_clock)
def test_p12_a_time_on_the_clock_is_its_first_coming_or_the_jump_over_it(
    zone: ZoneInfo, wanted: datetime
) -> None:
    instant = local_instant(wanted, zone)
    shown = instant.astimezone(zone)
    if shown.replace(tzinfo=None) == wanted:
        assert shown.fold == 0
    else:
        before = (instant - SECOND).astimezone(zone)
        assert before.replace(tzinfo=None) < wanted < shown.replace(tzinfo=None)
        assert before.utcoffset() != shown.utcoffset()


@pytest.mark.parametrize(
    ("zone", "due", "due_at"),
    [
        ("America/New_York", "2027-03-14 02:30", "2027-03-14T07:00"),  # skipped: the jump
        ("America/New_York", "2027-11-07 01:30", "2027-11-07T05:30"),  # comes twice: the first
        ("Europe/London", "2027-03-28 01:30", "2027-03-28T01:00"),
        ("Europe/London", "2027-10-31 01:30", "2027-10-31T00:30"),
        ("Australia/Lord_Howe", "2027-10-03 02:15", "2027-10-02T15:30"),  # half an hour only
        ("Australia/Lord_Howe", "2027-04-04 01:45", "2027-04-03T14:45"),
        ("Asia/Kolkata", "2027-03-14 02:30", "2027-03-13T21:00"),
        ("Pacific/Apia", "2011-12-30 12:00", "2011-12-30T10:00"),  # a day that never was
        ("Pacific/Kiritimati", "2027-01-01 23:59", "2027-01-01T09:59"),
    ],
)
def test_p12_due_dates_at_both_edges_of_summer_time(zone: str, due: str, due_at: str) -> None:
    lab = in_zone(zone, f"due_dates: {{essay: {{due: {due}, hours: 2}}}}")
    (found,) = due_in(lab, lab.sections["utc"])
    assert found.due_at == utc(due_at)
    assert found.hours_from < found.due_at


def test_hours_come_from_the_midnight_two_days_before_unless_told() -> None:
    lab = in_zone("America/New_York", """
due_dates:
  told: {title: Essay, due: 2027-03-16 23:59, hours: 2, hours_from: 2027-03-12}
  plain: {due: 2027-03-15 23:59, hours: 2}
""")  # fmt: skip
    plain, told = due_in(lab, lab.sections["utc"])
    assert (plain.title, told.title) == ("plain", "Essay")
    assert plain.hours_from == utc("2027-03-13T05:00")
    assert plain.due_at == utc("2027-03-16T03:59"), "the clocks changed between the two"
    assert told.hours_from == utc("2027-03-12T05:00")


def test_due_dates_are_for_the_sections_that_they_name() -> None:
    lab = lab_with("""
due_dates:
  all: {due: 2026-12-04 23:59}
  some: {due: 2026-12-01 23:59, sections: [berlin]}
""")
    assert [due.name for due in due_in(lab, lab.sections["utc"])] == ["all"]
    assert [due.name for due in due_in(lab, lab.sections["berlin"])] == ["some", "all"]


def test_what_is_due_in_an_optional_week_is_optional() -> None:
    lab = lab_with(
        PROGRAM
        + """
due_dates: {report: {due: 2026-12-04 23:59}, project: {due: 2027-01-08 23:59}}
"""
    )
    found = due_in(lab, lab.sections["utc"])
    assert [(due.name, due.is_optional) for due in found] == [("report", False), ("project", True)]


def test_weekly_hours_stay_at_their_time_on_the_clock() -> None:
    section = "co_working: [{day: sunday, starts: 01:30, ends: 03:30}]"
    lab = lab_with(section=section)
    berlin = lab.sections["utc"].model_copy(update={"time_zone": "Europe/Berlin"})
    found = co_working(berlin, utc("2027-03-20T00:00"), utc("2027-04-05T00:00"))
    spans = [(one.starts_at, one.ends_at) for one in found]
    assert spans == [
        (utc("2027-03-21T00:30"), utc("2027-03-21T02:30")),
        (utc("2027-03-28T00:30"), utc("2027-03-28T01:30")),  # an hour shorter: 02:00 is 03:00
        (utc("2027-04-03T23:30"), utc("2027-04-04T01:30")),
    ]
    assert found[0].title == "Co-working hours of utc"


def test_weekly_hours_that_the_clocks_skip_do_not_come() -> None:
    lab = lab_with(section="co_working: [{day: sunday, starts: 02:10, ends: 02:50}]")
    berlin = lab.sections["utc"].model_copy(update={"time_zone": "Europe/Berlin"})
    found = co_working(berlin, utc("2027-03-27T00:00"), utc("2027-04-05T00:00"))
    assert [one.starts_at for one in found] == [utc("2027-04-04T00:10")]


def test_hours_up_to_midnight_end_with_the_day() -> None:
    lab = lab_with(section="co_working: [{day: friday, starts: '22:00', ends: '24:00'}]")
    (one,) = co_working(lab.sections["utc"], utc("2026-11-25T00:00"), utc("2026-12-01T00:00"))
    assert (one.starts_at, one.ends_at) == (utc("2026-11-27T22:00"), utc("2026-11-28T00:00"))


def test_office_hours_are_in_the_tas_own_zone_else_the_sections() -> None:
    hours = "office_hours: [{day: thursday, starts: '18:00', ends: '19:00'}]"
    start, end = utc("2026-11-23T00:00"), utc("2026-11-30T00:00")
    plain = lab_with(f"tas: {{tomas: {{{hours}}}}}")
    (one,) = office_hours(plain, "tomas", start, end)
    assert one.starts_at == utc("2026-11-26T18:00")
    abroad = lab_with(f"tas: {{tomas: {{time_zone: Asia/Tokyo, {hours}}}}}")
    (one,) = office_hours(abroad, "tomas", start, end)
    assert one.starts_at == utc("2026-11-26T09:00")
    assert office_hours(plain, "ada", start, end) == ()


def test_blackouts_are_read_in_their_zone_and_sorted() -> None:
    lab = lab_with("""
blackouts:
  move: {title: Moving, starts: 2026-12-05 08:00, ends: 2026-12-05 12:00, time_zone: Asia/Tokyo}
  exam: {starts: 2026-12-01 08:00, ends: 2026-12-01 12:00}
""")
    exam, move = blackouts(lab)
    assert (exam.title, exam.starts_at) == ("exam", utc("2026-12-01T08:00"))
    assert (move.starts_at, move.ends_at) == (utc("2026-12-04T23:00"), utc("2026-12-05T03:00"))
    assert move.covers(move.starts_at)
    assert not move.covers(move.ends_at)


def test_a_blackout_inside_a_jump_of_the_clocks_never_comes() -> None:
    lab = lab_with("""
blackouts: {short: {starts: 2027-03-28 02:10, ends: 2027-03-28 02:40, time_zone: Europe/Berlin}}
""")
    assert blackouts(lab) == ()
