"""P11: a clock that is set wrong for a while costs nobody; one that stays is believed."""

from datetime import timedelta

import pytest

from quota.clock import ManualClock, SteadyClock
from tests.quota.books import NOON, Desk, hours


class Machine:
    """A machine's two clocks, moved by hand."""

    def __init__(self) -> None:
        self.wall = ManualClock(NOON)
        self.monotonic_s = 1000.0
        self.jumps: list[float] = []
        self.steady = SteadyClock(self.wall, monotonic=lambda: self.monotonic_s,
                                  patience_s=900, on_jump=self.jumps.append)  # fmt: skip

    def go(self, seconds: float, *, wall_s: float | None = None) -> None:
        self.monotonic_s += seconds
        self.wall.advance(timedelta(seconds=seconds if wall_s is None else wall_s))


@pytest.mark.parametrize("jump_s", [3600, -3600, 5, -5])
def test_p11_a_jump_is_not_followed_at_once_and_is_told_once(jump_s: float) -> None:
    machine = Machine()
    machine.go(10)
    machine.go(15, wall_s=15 + jump_s)
    for _ in range(100):
        at = machine.steady.now()
        machine.go(0.0123)
    assert abs(at - (NOON + timedelta(seconds=25 + 99 * 0.0123))) < timedelta(milliseconds=2)
    assert machine.jumps == [pytest.approx(jump_s, abs=0.01)]


def test_p11_a_clock_that_comes_back_leaves_no_trace() -> None:
    machine = Machine()
    machine.go(10, wall_s=3610)
    machine.steady.now()
    machine.go(10, wall_s=10 - 3600)
    assert machine.steady.now() == NOON + timedelta(seconds=20)
    machine.go(1)
    assert machine.steady.now() == NOON + timedelta(seconds=21)


def test_p11_a_clock_that_stays_is_believed_after_its_patience() -> None:
    machine = Machine()
    machine.go(10, wall_s=3610)
    for _ in range(91):
        machine.steady.now()
        machine.go(10)
    assert machine.steady.now() == NOON + timedelta(seconds=3610 + 910)
    assert len(machine.jumps) == 1


def test_small_steps_are_followed_and_never_lead_back() -> None:
    machine = Machine()
    machine.go(10, wall_s=11)
    first = machine.steady.now()
    assert first == NOON + timedelta(seconds=11)
    machine.go(0.5, wall_s=-0.5)
    assert machine.steady.now() == first
    machine.go(2)
    assert machine.steady.now() == NOON + timedelta(seconds=12.5)


def test_p11_an_hour_ahead_for_one_tick_is_charged_to_nobody(desk: Desk) -> None:
    machine = Machine()
    machine.wall = desk.clock
    machine.steady = SteadyClock(desk.clock, monotonic=lambda: machine.monotonic_s)
    desk.books.clock = machine.steady
    view = desk.ask("ada", "whole")
    ref = desk.start(view)
    for jump_s in (0, 0, 3600, -3600, 0):
        machine.go(120, wall_s=120 + jump_s)
        at = machine.steady.now()
        desk.books.tick(desk.containers.values(), seen_at=at)
    desk.finish(ref)
    desk.books.tick(desk.containers.values(), seen_at=machine.steady.now())
    account = desk.books.account("ada")
    charged = sum(one.amount.mgpu_ms for one in account.charges)
    assert charged == 1000 * 600_000, "ten minutes, by the runtime's own clock"
    assert account.balance > hours("9")
