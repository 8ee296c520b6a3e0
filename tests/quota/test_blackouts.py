"""Closed GPUs: nobody starts, those who run are warned and stopped, CPU servers go on."""

from datetime import UTC, datetime, timedelta

import pytest

from quota.errors import GpusClosed
from tests.quota.books import Desk, lab_with

MOVE = """
blackouts:
  move: {title: Moving day, starts: 2026-11-25 13:00, ends: 2026-11-25 15:00}
"""
CLOSES = datetime(2026, 11, 25, 13, tzinfo=UTC)


def test_a_start_in_a_blackout_is_refused_with_the_hour_from_which_it_works(desk: Desk) -> None:
    desk.follow(lab_with(MOVE))
    desk.clock.set(CLOSES)
    with pytest.raises(GpusClosed, match="Moving day") as refusal:
        desk.ask("ada")
    assert refusal.value.retry_at == CLOSES + timedelta(hours=2)
    assert desk.ask("ada", "cpu", server="cpu").lease.state == "held"
    desk.clock.set(CLOSES + timedelta(hours=2))
    assert desk.ask("ada").lease.state == "held"


def test_a_blackout_that_another_follows_ends_with_the_other(desk: Desk) -> None:
    desk.follow(
        lab_with(
            MOVE
            + """
  exam: {title: Exam, starts: 2026-11-25 14:00, ends: 2026-11-25 18:00}
"""
        )
    )
    desk.clock.set(CLOSES)
    with pytest.raises(GpusClosed) as refusal:
        desk.ask("ada")
    assert refusal.value.retry_at == CLOSES + timedelta(hours=5)


def test_a_running_session_is_warned_then_stopped_and_a_cpu_session_goes_on(desk: Desk) -> None:
    desk.follow(lab_with(MOVE))
    lease_id, _ = desk.run("ada")
    cpu_id, _ = desk.run("blaise", "cpu")
    assert desk.books.account("ada").sessions[0].ends_at == CLOSES
    desk.go(every_s=30, minutes=61)
    lease = desk.books.lease(lease_id).lease
    assert (lease.state, lease.end_reason) == ("ended", "blackout")
    assert lease.ended_at is not None
    assert CLOSES <= lease.ended_at <= CLOSES + timedelta(seconds=50)
    notices = desk.books.account("ada").notices
    assert [one.kind for one in notices] == ["stopped", *["warning"] * 4]
    assert all("Moving day" in one.text for one in notices)
    assert desk.books.lease(cpu_id).lease.state == "active"
    assert desk.books.account("blaise").notices == ()


def test_a_blackout_written_while_it_is_on_stops_what_runs_at_the_next_tick(desk: Desk) -> None:
    lease_id, _ = desk.run("ada")
    desk.clock.set(CLOSES + timedelta(minutes=5))
    desk.follow(lab_with(MOVE))
    desk.go(seconds=30)
    assert desk.books.lease(lease_id).lease.end_reason == "blackout"


def test_a_blackout_taken_away_in_time_stops_nobody(desk: Desk) -> None:
    desk.follow(lab_with(MOVE))
    lease_id, _ = desk.run("ada")
    desk.go(every_s=60, minutes=58)
    desk.follow(lab_with())
    desk.go(every_s=60, minutes=10)
    lease = desk.books.lease(lease_id).lease
    assert (lease.state, lease.warned_min) == ("active", None)
