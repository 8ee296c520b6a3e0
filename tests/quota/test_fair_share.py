"""Who has used the smaller part of what they are owed goes first, and is told so."""

from datetime import timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota.amount import GpuTime
from quota.fair_share import WEEKS, part_used, week_starts
from quota.ledger import Lot
from tests.quota.books import NOON, PROGRAM, Desk, lab_with, make_lab

LAB = make_lab()
UTC = LAB.sections["utc"]  # 10 GPU-hours each week
STARTS = week_starts(LAB, UTC, NOON)


def part(*used_h: int, lots: tuple[Lot, ...] = (), who: str = "ada") -> int:
    used = [GpuTime.hours(one) for one in used_h]
    return part_used(LAB, UTC, who, starts=STARTS, used=used, lots=lots)


def lot(source: str, hours: int, days_ago: int) -> Lot:
    at = NOON - timedelta(days=days_ago)
    return Lot(id=UUID(int=7), source=source, amount=GpuTime.hours(hours),  # type: ignore[arg-type]
               remaining=GpuTime.ZERO, starts_at=at, ends_at=at + timedelta(days=7),
               author="olga", reason="")  # fmt: skip


def test_weeks_count_half_as_much_as_the_one_after() -> None:
    assert [start.day for start in STARTS] == [23, 16, 9, 2]
    assert part(0, 0, 0, 0) == 0
    whole = 10 * (8 + 4 + 2 + 1)
    for place, weight in enumerate((8, 4, 2, 1)):
        used = [0] * WEEKS
        used[place] = 5
        assert part(*used) == 1000 * 5 * weight // whole
    assert part(10, 10, 10, 10) == 1000
    assert part(100, 100) == 2000, "beyond that people are alike"


def test_what_is_given_beside_the_week_is_owed_and_what_others_pay_is_not() -> None:
    assert part(5, lots=(lot("grant", 10, 0),)) == 1000 * 5 * 8 // (150 + 80)
    assert part(5, lots=(lot("grant", 10, 8),)) == 1000 * 5 * 8 // (150 + 40)
    for source, days in (("allowance", 0), ("pool", 0), ("help", 0), ("grant", 40)):
        assert part(5, lots=(lot(source, 10, days),)) == part(5)
    nobodys = part_used(LAB, None, "guest", starts=STARTS, used=[GpuTime.hours(1)], lots=())
    assert nobodys == 2000, "who is owed nothing has used all of it"


@given(st.lists(st.integers(0, 30), min_size=WEEKS, max_size=WEEKS), st.integers(0, WEEKS - 1))
def test_using_more_never_brings_anybody_forward(used: list[int], place: int) -> None:
    more = list(used)
    more[place] += 1
    assert part(*used) <= part(*more)


def test_weeks_follow_the_program_and_its_breaks() -> None:
    lab = lab_with(PROGRAM)
    starts = week_starts(lab, lab.sections["utc"], NOON)
    assert starts[0].day == 23
    assert [(one - two).days for one, two in pairwise(starts)] == [7, 7, 7]
    assert week_starts(lab, None, NOON)[0] == NOON - timedelta(days=7)


@pytest.fixture
def two_used(desk: Desk) -> Desk:
    """Ada has used 2.5 of her 10 hours, Blaise none; both GPUs are taken."""
    desk.use("ada", "whole", minutes=150)
    desk.run("chen")
    desk.run("dina")
    return desk


def test_who_has_used_less_goes_first_though_later(two_used: Desk) -> None:
    desk = two_used
    first = desk.ask("ada", "whole")
    assert first.lease.used_permille is not None
    assert first.lease.used_permille == 1000 * 5 * 8 // 2 // 150
    assert first.line is not None
    assert "First comes" not in first.line.text, "alone in the line there is no order"
    desk.clock.advance(timedelta(minutes=1))
    second = desk.ask("blaise", "whole")
    assert second.line is not None
    assert (second.line.position, second.lease.used_permille) == (1, 0)
    again = desk.ask("ada", "whole", lease_id=first.lease.id)
    assert again.line is not None
    assert (again.line.position, again.line.of) == (2, 2)
    assert "who has used the smaller part of their GPU-hours (you: 13 %)" in again.line.text
    assert "who has waited 60 minutes" in again.line.text
    # Nobody is overtaken for ever.
    for _ in range(60):
        desk.clock.advance(timedelta(minutes=1))
        desk.ask("blaise", "whole", lease_id=second.lease.id)
        again = desk.ask("ada", "whole", lease_id=first.lease.id)
    assert again.line is not None
    assert again.line.position == 1


def test_what_runs_now_counts_too(desk: Desk) -> None:
    desk.follow(make_lab(sessions_per_scholar=2))
    desk.run("ada", "quarter")
    desk.go(minutes=40, every_s=300)
    desk.run("chen", "whole")
    found = desk.ask("ada", "whole", server="second")
    assert found.lease.used_permille == (1000 * 8 // 6) // 150
