"""When it will be somebody's turn: from how long sessions really lasted."""

from dataclasses import replace
from datetime import timedelta
from statistics import median
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from quota.forecast import Lengths, Running, forecast
from quota.placement import Ask, GpuUse, occupy
from quota.reserving import Kept
from quota.waiting import Room, Waiter
from tests.quota.books import NOON, Desk, gpu

MINUTE = timedelta(minutes=1)
WHOLE, HALF = Ask(1000, 1), Ask(500, 1)
UNKNOWN = Lengths()


def room(*gpus: GpuUse) -> Room:
    return Room(gpus=gpus, max_sharers=4, placement="pack")


def taken(number: int, ask: Ask = WHOLE) -> GpuUse:
    return occupy(gpu(f"GPU-{number}"), ask)


def waiter(number: int, ask: Ask = WHOLE, minutes_ago: int = 0) -> Waiter:
    return Waiter(lease_id=UUID(int=number), ask=ask, requested_at=NOON - minutes_ago * MINUTE)


def running(number: int, left_min: int | None, ran_min: int = 0, ask: Ask = WHOLE) -> Running:
    return Running(gpu_uuid=f"GPU-{number}", ask=ask, started_at=NOON - ran_min * MINUTE,
                   ends_at=None if left_min is None else NOON + left_min * MINUTE)  # fmt: skip


def minutes(found: object, number: int) -> float | None:
    assert isinstance(found, dict)
    at = found.get(UUID(int=number))
    return None if at is None else (at - NOON) / MINUTE


def lasted(*some_min: int) -> Lengths:
    return Lengths(tuple(sorted(one * 60_000 for one in some_min)))


@given(st.lists(st.integers(1, 600), min_size=1, max_size=6))
def test_without_any_history_sessions_run_until_their_hours_are_used_up(ends: list[int]) -> None:
    some = [running(number, end) for number, end in enumerate(ends)]
    full = room(*(taken(number) for number in range(len(ends))))
    line = [waiter(number, minutes_ago=9 - number) for number in range(8)]
    found = forecast(line, some, UNKNOWN, full, now=NOON)
    told = [minutes(found, number) for number in range(8)]
    assert told[: len(ends)] == sorted(ends)
    assert told[len(ends) :] == [None] * (8 - len(ends)), "how long those ahead stay is unknown"


def test_nobody_knows_when_sessions_without_an_end_will_end() -> None:
    some = [running(0, None), replace(running(0, 5), gpu_uuid="gone")]
    assert forecast([waiter(1)], some, UNKNOWN, room(taken(0)), now=NOON) == {}
    past = [running(0, -1)]
    assert minutes(forecast([waiter(1)], past, UNKNOWN, room(taken(0)), now=NOON), 1) == 0


def test_sessions_that_lasted_longer_than_this_one_tell_when_it_ends() -> None:
    known = lasted(*range(10, 110, 10))
    ran_an_hour = forecast([waiter(1)], [running(0, 600, 60)], known, room(taken(0)), now=NOON)
    assert minutes(ran_an_hour, 1) is None or minutes(ran_an_hour, 1) == 600
    found = forecast([waiter(1)], [running(0, 600, 35)], known, room(taken(0)), now=NOON)
    told = minutes(found, 1)
    assert told == median([40, 50, 60, 70, 80, 90, 100]) - 35
    soon = forecast([waiter(1)], [running(0, 7, 35)], known, room(taken(0)), now=NOON)
    assert minutes(soon, 1) is not None
    assert minutes(soon, 1) == 7, "not later than its GPU-hours last"


def test_of_many_sessions_one_ends_soon_and_those_ahead_take_it_first() -> None:
    known = lasted(*range(10, 210, 10))
    some = [running(number, 600) for number in range(8)]
    full = room(*(taken(number) for number in range(8)))
    line = [waiter(number, minutes_ago=9 - number) for number in range(9)]
    found = forecast(line, some, known, full, now=NOON)
    told = [minutes(found, number) for number in range(9)]
    assert None not in told
    assert told == sorted(one for one in told if one is not None)
    first, last = told[0], told[-1]
    assert first is not None
    assert last is not None
    assert first <= 40 < last, "the median of one session alone would be 110"
    assert found == forecast(line[::-1], some, known, full, now=NOON)


def test_the_small_go_first_in_a_forecast_only_until_the_large_block() -> None:
    halves = [running(0, 10, ask=HALF), running(0, 60, ask=HALF)]
    full = room(occupy(taken(0, HALF), HALF))
    small = waiter(2, HALF)
    young = forecast([waiter(1), small], halves, UNKNOWN, full, now=NOON)
    assert minutes(young, 2) == 10
    old = forecast([waiter(1, minutes_ago=20), small], halves, UNKNOWN, full, now=NOON)
    assert (minutes(old, 1), minutes(old, 2)) == (60, None)


def test_a_gpu_that_is_kept_for_others_is_free_when_their_hours_are_over() -> None:
    theirs = Kept(section="west", title="West", starts_at=NOON - MINUTE,
                  ends_at=NOON + 30 * MINUTE)  # fmt: skip
    kept = replace(room(gpu("GPU-0")), kept={"GPU-0": (theirs,)})
    assert minutes(forecast([waiter(1)], [], UNKNOWN, kept, now=NOON), 1) == 30


def test_a_waiter_is_told_what_sessions_of_these_days_say(desk: Desk) -> None:
    for length in (10, 20, 30, 40, 50, 60):
        desk.use("emeka", "quarter", minutes=length)
    desk.run("ada")
    desk.run("blaise")
    third = desk.ask("chen")
    assert third.line is not None
    assert third.line.estimated_wait_s is not None
    assert 10 * 60 <= third.line.estimated_wait_s <= 35 * 60
    # Worked out for the whole line at once, and kept for a moment.
    desk.clock.advance(timedelta(seconds=2))
    again = desk.ask("chen", lease_id=third.lease.id)
    assert again.line is not None
    assert third.line.estimated_wait_s - again.line.estimated_wait_s == 2  # type: ignore[operator]
