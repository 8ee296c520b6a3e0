"""The example program is right, and says what it should."""

from datetime import date
from pathlib import Path

import pytest

from quota.agenda import blackouts, co_working, due_in, office_hours
from quota.calendar import weeks_of
from quota.entitlement import entitlement
from quota.lab import Lab
from quota.lab_file import load_lab
from tests.quota.books import hours

EXAMPLE = Path(__file__).parents[2] / "examples/mlss-2022.yaml"


@pytest.fixture(scope="module")
def lab() -> Lab:
    return load_lab(EXAMPLE)


def test_it_has_nine_weeks_in_four_parts(lab: Lab) -> None:
    assert lab.program is not None
    weeks = lab.program.weeks
    assert [one.number for one in weeks] == list(range(1, 10))
    assert (weeks[0].starts_on, weeks[-1].ends_on) == (date(2022, 6, 20), date(2022, 8, 19))
    assert [one.part for one in weeks] == [
        *["Machine learning"] * 2, *["Deep learning"] * 3, *["ML safety"] * 3, "Final project",
    ]  # fmt: skip
    assert [one.optional for one in weeks] == [False] * 8 + [True]
    assert all(one.topic for one in weeks)
    for section in lab.sections.values():
        assert len(weeks_of(lab.program, section.zone)) == 9


def test_hours_follow_the_content(lab: Lab) -> None:
    assert lab.program is not None
    for section in lab.sections.values():
        of = {
            week.number or 0: entitlement(lab, section, "somebody", week).hours
            for week in weeks_of(lab.program, section.zone)
        }
        most = sorted(of, key=lambda number: of[number])[-4:]
        assert set(most) == {4, 5, 6, 9} or section.name == "asia-pacific"
        assert max(of[1], of[2]) < min(of[n] for n in range(3, 10))
        assert all(hours("1") <= one <= hours("20") for one in of.values())


def test_every_section_has_people_and_times_of_its_own(lab: Lab) -> None:
    assert len(lab.sections) == 3
    assert len({section.time_zone for section in lab.sections.values()}) == 3
    assert lab.program is not None
    for section in lab.sections.values():
        first, *_, last = weeks_of(lab.program, section.zone)
        assert 20 <= len(section.scholars) <= 40
        assert len(section.tas) == 2
        assert section.pool is not None
        assert section.help_hours_per_week
        assert len(co_working(section, first.starts_at, last.ends_at)) >= 17
        for ta in section.tas:
            assert len(office_hours(lab, ta, first.starts_at, last.ends_at)) >= 8
        assert all(first.starts_at < due.due_at < last.ends_at for due in due_in(lab, section))


def test_it_uses_what_there_is_to_use(lab: Lab) -> None:
    assert len(blackouts(lab)) == 1
    assert lab.roll_over.percent > 0
    assert {due.name for due in due_in(lab, lab.sections["americas"]) if due.is_optional} == {
        "final-project"
    }
    assert any(one.opted_out for one in lab.scholars.values())
    assert any(one.absences for one in lab.scholars.values())
    assert set(lab.scholars) <= set(lab.roster)
