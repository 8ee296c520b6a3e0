"""The only place that reads the time. Everything else gets a `Clock` or an instant."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the present instant, aware and in UTC, in whole milliseconds."""

    def now(self) -> datetime:
        """Return the present instant."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the present instant, cut to whole milliseconds (the unit of the books)."""
        return whole_ms(datetime.now(UTC))


class SteadyClock:
    """The machine's clock, except that it does not follow a jump at once.

    A clock that was set wrong for a moment would charge an hour that nobody used. So time goes on
    by the monotonic clock while the machine's own disagrees; one that stays is believed after
    `patience_s`. `on_jump` is told the difference in seconds, once for each jump.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        patience_s: float = 900.0,
        on_jump: Callable[[float], None] = lambda _by_s: None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._monotonic = monotonic
        self._patience_s = patience_s
        self._on_jump = on_jump
        self._lock = threading.Lock()
        self._at, self._read_at = self._clock.now(), monotonic()
        self._off_since: float | None = None

    def now(self) -> datetime:
        """Return the present instant as far as it can be believed."""
        with self._lock:
            shown, tick = self._clock.now(), self._monotonic()
            expected = self._at + timedelta(seconds=tick - self._read_at)
            # Not cut here: a lost part of a millisecond at each look would add up.
            self._at = self._believed(shown, expected, tick)
            self._read_at = tick
            return whole_ms(self._at)

    def _believed(self, shown: datetime, expected: datetime, tick: float) -> datetime:
        off = shown - expected
        if abs(off) <= _SMALL_STEP:
            # A clock that is being put right gently; never back, so that no interval is negative.
            self._off_since = None
            return max(shown, self._at)
        if self._off_since is None:
            self._off_since = tick
            self._on_jump(off.total_seconds())
        if tick - self._off_since < self._patience_s:
            return expected
        self._off_since = None
        return shown


class ManualClock:
    """A clock that moves only when told: for tests and simulations."""

    def __init__(self, at: datetime) -> None:
        self._at = whole_ms(at)

    def now(self) -> datetime:
        """Return the instant that was set last."""
        return self._at

    def advance(self, by: timedelta) -> None:
        """Move forward, or back when `by` is negative."""
        self._at = whole_ms(self._at + by)

    def set(self, at: datetime) -> None:
        """Jump to an instant."""
        self._at = whole_ms(at)


# What a time service corrects in one step on a machine that is in order.
_SMALL_STEP = timedelta(seconds=2)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def whole_ms(at: datetime) -> datetime:
    """Cut an instant to whole milliseconds."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def to_ms(at: datetime) -> int:
    """Milliseconds since 1970-01-01 UTC."""
    return (at - EPOCH) // _MS


def from_ms(ms: int) -> datetime:
    """Turn milliseconds since 1970-01-01 UTC into an instant."""
    return EPOCH + ms * _MS


def ms_between(start: datetime, end: datetime) -> int:
    """Whole milliseconds from start to end; negative when end comes first."""
    return (end - start) // _MS
