"""Which GPUs are kept for which section, and when: its co-working hours. Pure.

A window takes the first GPUs in service, by uuid, that no other window of that time has. So the
same GPUs are kept every week, and whoever starts a session can be told until when it may run.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from uuid import UUID

from quota.agenda import Same, co_working
from quota.lab import Lab
from quota.placement import GpuUse

# Far enough that every weekly window has a next coming in sight, and back to windows that are over
# but shared GPUs with one that is on: it keeps what it was given.
_AHEAD, _BACK = timedelta(days=8), timedelta(days=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A time in which a GPU is kept for a section: [starts_at, ends_at).

    With a `reservation_id` a share of it is kept for a scholar instead, who is not named.
    """

    section: str
    title: str
    starts_at: datetime
    ends_at: datetime
    reservation_id: UUID | None = None

    def covers(self, at: datetime) -> bool:
        """Tell whether an instant lies inside."""
        return self.starts_at <= at < self.ends_at


Keeping = Mapping[str, tuple[Kept, ...]]
"""For each GPU that is kept at some time: the times, those that are on or to come, in order."""


def keeping(lab: Lab, gpus: Iterable[GpuUse], now: datetime) -> Keeping:
    """Tell which GPUs are kept for whom, now and in the days to come."""
    if not _reserves(lab):
        return {}
    serving = tuple(sorted(gpu.uuid for gpu in gpus if gpu.in_service))
    given = _given(Same(lab), serving, _midnight(now))
    found = {uuid: tuple(one for one in some if one.ends_at > now) for uuid, some in given.items()}
    return {uuid: some for uuid, some in found.items() if some}


def meeting_now(lab: Lab, now: datetime) -> frozenset[str]:
    """Name the sections whose co-working hours are on."""
    if not any(section.co_working for section in lab.sections.values()):
        return frozenset()
    windows = _windows(Same(lab), _midnight(now))
    return frozenset(one.section for one, _ in windows if one.covers(now))


def is_kept_from(lab: Lab, at: datetime) -> bool:
    """Tell whether GPUs are still reserved by the rules for a window that begins at an instant."""
    if not _reserves(lab):
        return False
    return any(one.starts_at == at and gpus for one, gpus in _windows(Same(lab), _midnight(at)))


def window_edges(lab: Lab, start: datetime, end: datetime) -> Iterator[datetime]:
    """List when co-working hours begin and end in [start, end): the line changes there."""
    for section in lab.sections.values():
        for window in co_working(section, start - timedelta(days=1), end):
            yield from (window.starts_at, window.ends_at)


def _reserves(lab: Lab) -> bool:
    return any(section.reserved_gpus for section in lab.sections.values())


def _midnight(at: datetime) -> datetime:
    return datetime.combine(at.date(), time(), UTC)


# Asked for at every admission, and the same for a day.
@lru_cache(maxsize=64)
def _windows(of_lab: Same[Lab], day: datetime) -> tuple[tuple[Kept, int], ...]:
    """List the co-working hours around a day, with how many GPUs they keep, in order."""
    found = [
        (Kept(section=section.name, title=section.title or section.name,
              starts_at=window.starts_at, ends_at=window.ends_at), section.reserved_gpus)
        for section in of_lab.value.sections.values() if section.co_working
        for window in co_working(section, day - _BACK, day + _AHEAD)
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda one: (one[0].starts_at, one[0].section)))


@lru_cache(maxsize=64)
def _given(
    of_lab: Same[Lab], serving: tuple[str, ...], day: datetime
) -> dict[str, tuple[Kept, ...]]:
    given: dict[str, tuple[Kept, ...]] = {}
    for window, gpus in _windows(of_lab, day):
        free = [uuid for uuid in serving if not _meets(window, given.get(uuid, ()))]
        for uuid in free[:gpus]:
            given[uuid] = (*given.get(uuid, ()), window)
    return given


def _meets(window: Kept, others: Iterable[Kept]) -> bool:
    return any(one.starts_at < window.ends_at and window.starts_at < one.ends_at
               for one in others)  # fmt: skip
