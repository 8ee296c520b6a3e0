"""A scholar who moves to a section in another time zone has each week's hours once."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, select

from quota.amount import GpuTime
from quota.calendar import same_week, week_at
from quota.lab import Lab
from quota.store.engine import reading
from quota.store.tables import lots
from tests.quota.books import LAB_YAML, PROGRAM, Desk, make_lab

YAML = LAB_YAML.replace("organizers:", """  apia: {time_zone: Pacific/Apia, hours_per_week: 6}
  honolulu: {time_zone: Pacific/Honolulu, hours_per_week: 6}
organizers:""").replace("hours_per_week: 10", "hours_per_week: 6")  # fmt: skip
RULES = (
    PROGRAM
    + """
roll_over: {percent: 50, most_hours: 4}
scholars: {ada: {absences: [{week: 1, use_in: [3]}]}}
"""
)
SOME_ZONES = ("Pacific/Kiritimati", "Asia/Kolkata", "UTC", "America/New_York", "Etc/GMT+12")
MOVES = [("utc", "honolulu"), ("utc", "apia"), ("honolulu", "apia"), ("apia", "honolulu")]


def lab_of(section: str, more: str = "") -> Lab:
    """Ada is in one section, and nobody else is anywhere."""
    text = YAML.replace("scholars: [ada, blaise, chen, dina], ", "")
    words = f"  {section}: {{"
    assert words in text
    return make_lab(text.replace(words, f"{words}scholars: [ada], ") + more)


@pytest.mark.parametrize(("before", "after"), MOVES)
@pytest.mark.parametrize("more", ["", RULES])
def test_what_was_used_of_the_week_stays_used(
    desk: Desk, before: str, after: str, more: str
) -> None:
    desk.follow(lab_of(before, more))
    desk.use("ada", hours=2)
    assert desk.sources() == {"allowance": "4"}
    desk.follow(lab_of(after, more))
    desk.go(every_s=3600, hours=1)
    desk.use("ada", hours=1)
    assert desk.sources() == {"allowance": "3"}
    (lot,) = desk.books.account("ada").lots
    section = desk.books.lab.sections[after]
    week = week_at(desk.books.lab.program, section.zone, desk.clock.now())
    assert week is not None
    assert lot.ends_at == week.ends_at


@pytest.mark.parametrize(("before", "after"), MOVES)
def test_no_week_is_given_twice_to_who_moves_all_the_time(
    memory_engine: Engine, before: str, after: str
) -> None:
    desk = Desk(memory_engine)
    desk.follow(lab_of(before, RULES))
    desk.use("ada", hours=2)
    for turn in range(60):
        desk.clock.advance(timedelta(hours=7))
        desk.follow(lab_of((after, before)[turn % 2], RULES))
        desk.use("ada", "quarter", minutes=1)
    with reading(desk.engine) as tx:
        query = select(lots.c.source, lots.c.reason).where(lots.c.amount > GpuTime.ZERO)
        given = Counter((source, reason[:6]) for source, reason in tx.execute(query))
    weeks = {name: count for (source, name), count in given.items() if source == "allowance"}
    assert weeks == {"week 1": 1, "week 2": 1, "week 3": 1}
    assert max(given.values()) == 1, given
    desk.check()


@pytest.mark.parametrize("zone", SOME_ZONES)
def test_a_week_is_found_by_its_begin_in_any_zone(zone: str) -> None:
    program, at = lab_of("utc", RULES).program, datetime(2026, 12, 2, 12, tzinfo=UTC)
    for one in (None, program):
        here = week_at(one, ZoneInfo(zone), at)
        for other in SOME_ZONES:
            began = week_at(one, ZoneInfo(other), at)
            assert began is not None
            assert same_week(one, ZoneInfo(zone), began.starts_at) == here
