"""Whether a lab can keep what it has promised this week: hours given against hours possible. Pure.

One GPU gives one GPU-hour in an hour when it is full. What is left to people counts as promised
until their section's week ends; GPUs that serve everybody can give so much until then, less the
times in which they are closed. Sections whose weeks end earlier are served first, so each end is
held against everything that is promised up to it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from quota.agenda import blackouts
from quota.amount import GpuTime
from quota.burn import used_at_end
from quota.calendar import Week, week_at
from quota.clock import ms_between
from quota.lab import Lab
from quota.placement import FULL_MGPU, GpuUse
from quota.standings import LabStanding, Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionOutlook:
    """A section's week: what was given and used, what is left, and whether that is possible.

    `promised` is what is left to all sections whose weeks end by then, `possible` what the GPUs
    can give until then, `used_at_end` what will have been used then at the pace of the week so
    far; all are nothing outside the program.
    """

    name: str
    title: str
    time_zone: str
    week: Week | None
    scholars: int
    running: int
    given: GpuTime
    used: GpuTime
    left: GpuTime
    promised: GpuTime
    possible: GpuTime
    used_at_end: GpuTime

    @property
    def is_short(self) -> bool:
        """Tell whether more is promised than the GPUs can give."""
        return self.promised > self.possible


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuOutlook:
    """The GPUs and who is on them now."""

    in_service: int
    out_of_service: int
    taken_mgpu: int
    running: int
    starting: int
    waiting: int

    @property
    def free_mgpu(self) -> int:
        """Thousandths of a GPU that nobody has, over all in service."""
        return self.in_service * FULL_MGPU - self.taken_mgpu


def section_outlooks(lab: Lab, standing: LabStanding) -> tuple[SectionOutlook, ...]:
    """Tell for each section how its week goes."""
    by_section: dict[str, list[Standing]] = {name: [] for name in lab.sections}
    for one in standing.people:
        if one.section is not None:
            by_section[one.section].append(one)
    weeks = {name: week_at(lab.program, section.zone, standing.at)
             for name, section in lab.sections.items()}  # fmt: skip
    left = {name: _left(people) for name, people in by_section.items()}
    found = []
    for name, section in lab.sections.items():
        week, people = weeks[name], by_section[name]
        given = GpuTime.total(one.granted for one in people)
        used = GpuTime.total(one.charged for one in people)
        promised = possible = coming = GpuTime.ZERO
        if week is not None:
            promised = GpuTime.total(
                left[other] for other, its in weeks.items()
                if its is not None and its.ends_at <= week.ends_at
            )  # fmt: skip
            possible = possible_until(lab, standing.gpus, standing.at, week.ends_at)
            coming = used_at_end(used=used, given=given, week=week, now=standing.at)
        found.append(SectionOutlook(
            name=name, title=section.title, time_zone=section.time_zone, week=week,
            scholars=len(people), promised=promised, possible=possible, left=left[name],
            given=given, used=used, used_at_end=coming,
            running=sum(one.lease.is_running for who in people for one in who.sessions),
        ))  # fmt: skip
    return tuple(found)


def gpu_outlook(standing: LabStanding) -> GpuOutlook:
    """Tell what is free, running and waiting."""
    leases = [one.lease for who in standing.people for one in who.sessions
              if one.lease.share_mgpu > 0]  # fmt: skip
    serving = [gpu for gpu in standing.gpus if gpu.in_service]
    return GpuOutlook(
        in_service=len(serving), out_of_service=len(standing.gpus) - len(serving),
        taken_mgpu=sum(gpu.used_mgpu for gpu in serving),
        running=sum(one.is_running for one in leases),
        starting=sum(one.state == "held" for one in leases),
        waiting=sum(one.state == "waiting" for one in leases),
    )  # fmt: skip


def possible_until(lab: Lab, gpus: Iterable[GpuUse], now: datetime, until: datetime) -> GpuTime:
    """Return what the GPUs in service can give until an instant, less their closed times."""
    serving = sum(gpu.in_service for gpu in gpus)
    open_ms, at = max(0, ms_between(now, until)), now
    for window in blackouts(lab):
        # In their order, and no instant is taken off twice.
        start, end = max(window.starts_at, at), min(window.ends_at, until)
        if start < end:
            open_ms, at = open_ms - ms_between(start, end), end
    return GpuTime.of(FULL_MGPU * serving, open_ms)


def _left(people: Iterable[Standing]) -> GpuTime:
    return GpuTime.total(max(one.balance, GpuTime.ZERO) for one in people)
