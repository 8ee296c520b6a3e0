"""How fast somebody uses GPU-hours: by day, by what runs now, and how long they last. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from quota.amount import GpuTime
from quota.calendar import Week, days_later, midnight
from quota.clock import ms_between
from quota.leases import Lease
from quota.store.usage import ChargeLine

# Of less than that nobody can tell how the rest of a week will be.
_TOO_EARLY = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class DayUse:
    """What was used on one day of a zone."""

    day: date
    amount: GpuTime


def rate_mgpu(leases: Iterable[Lease]) -> int:
    """Return what the sessions that run cost together, in thousandths of a GPU."""
    return sum(one.weight_mgpu for one in leases if one.is_running)


def lasts_until(
    available: GpuTime, used: GpuTime, week: Week | None, *, now: datetime
) -> datetime | None:
    """Return until when hours last if they go on as in this week so far; the week's end at most.

    None when that cannot be told: nothing was used yet, or the week has only begun.
    """
    if week is None or used <= GpuTime.ZERO or now - week.starts_at < _TOO_EARLY:
        return None
    left_ms = max(available.mgpu_ms, 0) * ms_between(week.starts_at, now) // used.mgpu_ms
    if left_ms >= ms_between(now, week.ends_at):
        return week.ends_at
    return now + timedelta(milliseconds=left_ms)


def use_by_day(
    lines: Iterable[ChargeLine], start: datetime, end: datetime, zone: ZoneInfo
) -> tuple[DayUse, ...]:
    """Split charges at the midnights of a zone; the days from `start` to `end` sum up exactly."""
    days = _days(start, end, zone)
    edges = [start, *(midnight(day, zone) for day in days[1:]), end]
    sums = [0] * len(days)
    for line in lines:
        whole_ms = max(ms_between(line.from_at, line.until_at), 1)

        def part_until(at: datetime, line: ChargeLine = line, whole_ms: int = whole_ms) -> int:
            at = min(max(at, line.from_at), line.until_at)
            return line.amount.mgpu_ms * ms_between(line.from_at, at) // whole_ms

        for place in range(len(days)):
            sums[place] += part_until(edges[place + 1]) - part_until(edges[place])
    return tuple(DayUse(day, GpuTime(used)) for day, used in zip(days, sums, strict=True))


def unposted_lines(leases: Iterable[Lease], name: str, *, now: datetime) -> list[ChargeLine]:
    """Return what running sessions have used and not yet posted, as charges are."""
    return [
        ChargeLine(account=name, lease_id=one.id, flavor=one.flavor, from_at=one.charged_until,
                   until_at=max(now, one.charged_until), amount=one.unposted(now))
        for one in leases if one.is_running and one.charged_until is not None
    ]  # fmt: skip


def _days(start: datetime, end: datetime, zone: ZoneInfo) -> list[date]:
    day = start.astimezone(zone).date()
    found = []
    while midnight(day, zone) < end:
        found.append(day)
        day = days_later(day, 1)
    return found
