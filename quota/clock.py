"""The only place that reads the time. Everything else gets a `Clock` or an instant."""

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
