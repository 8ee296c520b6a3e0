"""How busy a session keeps its GPU: at the last look, and minute by minute before that. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

# Two hours: as far back as somebody wants to see whether their training keeps the GPU busy.
MINUTES_KEPT = 120
# Less of a change within a minute than this is not worth a write at each look.
_MUCH_PERCENT = 5
_MUCH_MIB = 256
# Without a look for so long, nothing is known of now; the worker writes once a minute.
_FRESH_FOR = timedelta(minutes=3)
_FRESH_TICKS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionUse:
    """For how much of the time a session had a kernel on its GPU, and what memory it held there.

    As of the look at `seen_at`; None stands for what the driver does not tell. `minutes` are means
    of whole minutes, the last one of the minute of `seen_at`.
    """

    seen_at: datetime
    busy_percent: int | None
    held_mib: int | None
    minutes: tuple[int | None, ...]

    @property
    def is_measured(self) -> bool:
        """Tell whether anything is known of now."""
        return self.busy_percent is not None or self.held_mib is not None

    @property
    def begins_at(self) -> datetime:
        """The first of the minutes."""
        return minute_of(self.seen_at) - timedelta(minutes=len(self.minutes) - 1)

    def as_of(self, now: datetime, *, fresh_for: timedelta) -> "SessionUse":
        """Return what is known now: after a time without a look, nothing."""
        if now - self.seen_at <= fresh_for:
            return self
        minutes = _later(self.minutes, minutes_between(self.seen_at, now))
        return SessionUse(seen_at=now, busy_percent=None, held_mib=None, minutes=minutes)

    def at(
        self, now: datetime, *, busy_percent: int | None, held_mib: int | None, mean: int | None,
        between: int | None,
    ) -> "SessionUse":  # fmt: skip
        """Return it with one more look; `mean` is that of its minute so far.

        The minutes before it in which nobody looked were as `between` says.
        """
        passed = minutes_between(self.seen_at, now)
        before = self.minutes[:-1] if passed == 0 else _later(self.minutes, passed - 1, between)
        return replace(self, seen_at=now, busy_percent=busy_percent, held_mib=held_mib,
                       minutes=(*before, mean)[-MINUTES_KEPT:])  # fmt: skip


def fresh_for(tick_s: int) -> timedelta:
    """Return for how long a look tells of now."""
    return max(_FRESH_FOR, timedelta(seconds=_FRESH_TICKS * tick_s))


def is_news(kept: SessionUse | None, seen: SessionUse) -> bool:
    """Tell whether a look is to be written: once a minute, and at once where much has changed."""
    if not seen.is_measured:
        return kept is not None and kept.is_measured
    if kept is None or minute_of(kept.seen_at) != minute_of(seen.seen_at):
        return True
    return (
        _is_far(kept.busy_percent, seen.busy_percent, _MUCH_PERCENT)
        or _is_far(kept.held_mib, seen.held_mib, _MUCH_MIB)
    )  # fmt: skip


def minute_of(at: datetime) -> datetime:
    """Return the beginning of an instant's minute."""
    return at.replace(second=0, microsecond=0)


def minutes_between(begin: datetime, end: datetime) -> int:
    """Count the minutes that began after one instant, until another."""
    return int((minute_of(end) - minute_of(begin)).total_seconds()) // 60


def _later(
    minutes: tuple[int | None, ...], passed: int, value: int | None = None
) -> tuple[int | None, ...]:
    return (minutes + (value,) * min(passed, MINUTES_KEPT))[-MINUTES_KEPT:]


def _is_far(one: int | None, other: int | None, much: int) -> bool:
    if one is None or other is None:
        return one is not other
    return abs(one - other) >= much
