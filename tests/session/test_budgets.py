"""Time for a program: the smaller of its minutes and the session's end, by a monotonic clock."""

import math
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.session.listener import NOW, Listener
from tests.session.parts import part


def until(is_so: Callable[[], object], within_s: float = 20.0) -> None:
    began = time.monotonic()
    while not is_so():
        assert time.monotonic() - began < within_s
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part("facts"), "_OFTEN_S", 0.02)
    monkeypatch.setattr(part("budgets"), "_AGAIN_S", 0.02)


@pytest.fixture(autouse=True)
def _threads_end() -> Any:
    yield
    until(lambda: not [one for one in threading.enumerate() if one.name.startswith("gpulab")])


@pytest.mark.parametrize(
    ("minutes", "save_s", "session_s", "left_s", "saving_s"),
    [
        (30, None, math.inf, 1800, 1740), (5, None, math.inf, 300, 270),
        (30, 90, math.inf, 1800, 1710), (30, None, 600, 600, 540), (5, None, 320, 300, 260),
        (None, None, 600, 600, 540), (None, 120, 600, 600, 480), (30, None, 20, 20, -40),
        (None, None, math.inf, math.inf, math.inf),
    ],
)  # fmt: skip
def test_the_first_end_counts(
    minutes: float | None, save_s: float | None, session_s: float, left_s: float, saving_s: float
) -> None:
    parts = part("budgets")
    ends = parts.replace(parts.ends_of(minutes, save_s, 100.0), session_s=100.0 + session_s)
    assert (ends.left_s(100.0), ends.until_saving_s(100.0)) == (left_s, saving_s)
    assert ends.left_s(1e9) == (math.inf if math.isinf(left_s) else 0)


@pytest.mark.parametrize(("minutes", "save_s"), [(0, None), (-1, None), (math.nan, None), (1, -1)])
def test_a_budget_of_nothing_is_a_mistake(minutes: float, save_s: float | None) -> None:
    with pytest.raises(ValueError, match=r"budget|save_s"):
        part().budget(minutes, save_s=save_s)


def test_without_a_lab_the_minutes_count() -> None:
    called: list[float] = []
    began = time.monotonic()
    with part().budget(minutes=0.01, save=lambda: called.append(time.monotonic())) as b:
        assert 0 < b.left_s() <= 0.6
        assert not b.nearly_over()
        until(lambda: called)
        assert 0.5 <= called[0] - began < 0.6 + 5
        assert b.nearly_over()
        until(lambda: b.left_s() == 0)
        assert b.why_over() == "its time is up in 0 s"
        b.on_nearly_over(lambda: called.append(0))
        assert called[1:] == [0], "who comes late is called at once"
    assert len(called) == 2
    with part().budget() as b:
        assert math.isinf(b.left_s())
    with pytest.raises(RuntimeError, match="once"), b:
        pass


def test_the_end_of_the_session_counts_by_the_labs_clock(lab: Listener) -> None:
    """The lab of this test lives in another year: times of this machine are not looked at."""
    lab.poll_after_s = 0.02
    saved: list[int] = []
    with part().budget(minutes=30, save=lambda: saved.append(1)) as b:
        assert not b.nearly_over()
        assert 1790 < b.left_s() <= 1800
        lab.ends_at = NOW + timedelta(minutes=2)
        until(lambda: b.left_s() <= 120)
        assert not b.nearly_over()
        lab.ends_at = NOW + timedelta(seconds=50)
        until(b.nearly_over)
        assert "the session ends" in b.why_over()
        until(lambda: saved)
        lab.ends_at = NOW + timedelta(hours=1)
        until(lambda: not b.nearly_over())
    assert saved == [1]
    assert {one.split()[1] for one in lab.asked} == {"/session/v1/facts"}


def test_a_session_that_is_stopped_ends_it(lab: Listener) -> None:
    lab.poll_after_s = 0.02
    with part().budget() as b:
        lab.state = "stopping"
        until(b.nearly_over)
        assert (b.left_s(), b.why_over()) == (0, "it was told to stop")


@pytest.mark.parametrize("instead", [500, b"nonsense", b"HTTP/1.1 200 OK\r\n\r\n{}", "silent"])
def test_a_lab_that_is_away_is_no_end(
    lab: Listener, instead: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was last heard counts, and the program waits for nobody."""
    monkeypatch.setattr(part("client"), "_ONE_S", 0.2)
    monkeypatch.setattr(part("budgets"), "_FIRST_ANSWER_S", 0.3)
    lab.poll_after_s = 0.02
    lab.always = instead
    began = time.monotonic()
    with part().budget(minutes=30) as b:
        assert time.monotonic() - began < 3
        assert 1790 < b.left_s() <= 1800
        lab.always, lab.ends_at = None, NOW + timedelta(minutes=3)
        until(lambda: b.left_s() < 200)
        lab.always = instead
        heard = len(lab.asked)
        until(lambda: len(lab.asked) > heard + 2)
        assert 150 < b.left_s() < 200


def test_a_fault_of_the_callback_is_shown_and_time_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    after: list[int] = []

    def fails() -> None:
        raise OSError("the disk is full")

    with part().budget(minutes=0.001) as b:
        b.on_nearly_over(fails)
        b.on_nearly_over(lambda: after.append(1))
        until(lambda: after)
        assert b.nearly_over()
    assert "the disk is full" in capsys.readouterr().err


def test_an_interrupt_saves_on_the_way_out() -> None:
    """A notebook's cell hears by an interrupt that its session stops."""
    saved: list[int] = []
    with pytest.raises(KeyboardInterrupt), part().budget(30, save=lambda: saved.append(1)):
        raise KeyboardInterrupt
    with (
        pytest.raises(ValueError, match="its own"),
        part().budget(30, save=lambda: saved.append(2)),
    ):
        raise ValueError("its own")
    assert saved == [1]
