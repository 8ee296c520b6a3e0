"""What a week gives, and what becomes of hours that nobody used."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota.amount import GpuTime
from quota.calendar import Week, week_numbered
from quota.entitlement import boosts_at, entitlement, kept_of, next_allowance
from quota.lab import Lab
from tests.quota.books import NOON, PROGRAM, hours, lab_with

SPECIAL = (
    PROGRAM
    + """
scholars:
  ada: {hours_per_week: 3}
  blaise: {opted_out: true}
  chen: {absences: [{week: 1, use_in: [2, 4]}, {week: 2, use_in: [3]}]}
due_dates:
  essay: {title: Essay, due: 2026-11-26 20:00, hours: 2}
  project: {title: Project, due: 2027-01-07 20:00, hours: 4}
"""
)


def week(lab: Lab, number: int) -> Week:
    found = week_numbered(lab.program, lab.sections["utc"].zone, number)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("who", "number", "gives", "because"),
    [
        ("dina", 1, "10.00", "week 1 of section utc"),
        ("dina", 2, "4.00", "week 2 of section utc"),  # hours_in_weeks
        ("dina", 3, "20.00", "week 3 of the program"),
        ("dina", 4, "10.00", "week 4 of section utc"),
        ("ada", 2, "3.00", "week 2, set for ada"),
        ("ada", 3, "3.00", "week 3, set for ada"),
        ("blaise", 3, "20.00", "week 3 of the program"),
        ("blaise", 4, "0.00", "opted out of week 4"),
    ],
)
def test_the_most_special_rule_counts(who: str, number: int, gives: str, because: str) -> None:
    lab = lab_with(SPECIAL, section="hours_in_weeks: {2: 4}")
    found = entitlement(lab, lab.sections["utc"], who, week(lab, number))
    assert (found.hours.hours_text(), found.because) == (gives, because)


def test_next_allowance_looks_over_a_break_and_ends_with_the_program() -> None:
    lab = lab_with(SPECIAL)
    section = lab.sections["utc"]
    in_third = datetime(2026, 12, 9, tzinfo=UTC)
    assert next_allowance(lab, section, "dina", in_third) == (
        datetime(2027, 1, 4, tzinfo=UTC), hours("10"))  # fmt: skip
    assert next_allowance(lab, section, "blaise", in_third) == (
        datetime(2027, 1, 4, tzinfo=UTC), hours("0"))  # fmt: skip
    assert next_allowance(lab, section, "dina", datetime(2027, 1, 6, tzinfo=UTC)) is None
    assert next_allowance(lab, None, "dina", NOON) is None


def test_boosts_are_half_open_and_optional_ones_not_for_those_who_opted_out() -> None:
    lab = lab_with(SPECIAL)
    section = lab.sections["utc"]
    start, due = datetime(2026, 11, 24, tzinfo=UTC), datetime(2026, 11, 26, 20, tzinfo=UTC)
    ms = GpuTime(1), start.resolution * 1000
    names = [[one.name for one in boosts_at(lab, section, "dina", at)]
             for at in (start - ms[1], start, due - ms[1], due)]  # fmt: skip
    assert names == [[], ["essay"], ["essay"], []]
    in_project = datetime(2027, 1, 6, tzinfo=UTC)
    assert [one.name for one in boosts_at(lab, section, "dina", in_project)] == ["project"]
    assert boosts_at(lab, section, "blaise", in_project) == ()


def test_roll_over_keeps_a_part_up_to_a_cap_for_some_weeks() -> None:
    lab = lab_with(PROGRAM + "roll_over: {percent: 50, most_hours: 3, lasts_weeks: 2}")
    (kept,) = kept_of(lab, lab.sections["utc"], "dina", week(lab, 1), hours("4"))
    assert (kept.hours, kept.source) == (hours("2"), "roll_over")
    assert (kept.starts_at, kept.ends_at) == (week(lab, 2).starts_at, week(lab, 3).ends_at)
    assert kept.because == "50 % of what was unused in week 1"
    (capped,) = kept_of(lab, lab.sections["utc"], "dina", week(lab, 1), hours("10"))
    assert capped.hours == hours("3")
    assert kept_of(lab, lab.sections["utc"], "dina", week(lab, 1), hours("0")) == ()


def test_over_a_break_rolled_hours_wait_for_the_next_week() -> None:
    lab = lab_with(PROGRAM + "roll_over: {percent: 100}")
    (kept,) = kept_of(lab, lab.sections["utc"], "dina", week(lab, 3), hours("4"))
    assert (kept.starts_at, kept.ends_at) == (week(lab, 4).starts_at, week(lab, 4).ends_at)
    assert kept_of(lab, lab.sections["utc"], "dina", week(lab, 4), hours("4")) == ()


def test_roll_over_that_lasts_longer_than_the_program_ends_with_it() -> None:
    lab = lab_with(PROGRAM + "roll_over: {percent: 100, lasts_weeks: 52}")
    (kept,) = kept_of(lab, lab.sections["utc"], "dina", week(lab, 2), hours("4"))
    assert kept.ends_at == week(lab, 4).ends_at


@given(st.integers(1, 10**13), st.lists(st.integers(2, 4), min_size=1, max_size=6))
def test_absences_share_all_unused_hours_and_make_none(unused: int, use_in: list[int]) -> None:
    away = f"scholars: {{chen: {{absences: [{{week: 1, use_in: {use_in}}}]}}}}"
    lab = lab_with(PROGRAM + "roll_over: {percent: 50}\n" + away)
    kept = kept_of(lab, lab.sections["utc"], "chen", week(lab, 1), GpuTime(unused))
    assert GpuTime.total(one.hours for one in kept) == GpuTime(unused), "no roll-over rule here"
    assert {one.starts_at for one in kept} <= {week(lab, n).starts_at for n in use_in}
    assert len({one.key for one in kept}) == len(kept)
    spread = [one.hours.mgpu_ms for one in kept]
    assert max(spread) - min(spread) < 4
