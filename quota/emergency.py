"""GPU sessions while the books are away: who may start one, where, and until when. Pure.

An organizer opens an emergency at the hub, for some hours at most. What starts in it is held to
the rules that need no books: on the roster, GPUs not closed, one GPU session each, on a GPU with
room, and an end that is known before it starts. It is charged when the books are back. See
docs/decisions/0020-emergency.md.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from quota.admission import ask_of
from quota.emergency_times import MOST_HOURS, MOST_LENGTH
from quota.endings import closed_now
from quota.entitlement import current_week
from quota.errors import BadText
from quota.lab import Lab
from quota.lab_gpus import Flavor
from quota.placement import Ask, GpuUse, choose, occupy
from quota.plain_text import check_text

# Below this nobody could start anything useful in it.
LEAST_MINUTES = 15
_HOURS = re.compile(r"[0-9]{1,2}([.,][0-9]{1,2})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Emergency:
    """A time in which GPU sessions start without the books: who opened it, why, until when."""

    id: UUID
    opened_by: str
    reason: str
    opened_at: datetime
    until: datetime
    closed_by: str = ""
    closed_at: datetime | None = None

    def is_open(self, now: datetime) -> bool:
        """Tell whether sessions may start in it; a clock set back before its start closes it."""
        return self.closed_at is None and self.opened_at <= now < self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencyStart:
    """A session that was started without the books."""

    lease_id: UUID
    emergency_id: UUID
    account: str
    server_name: str
    flavor: str
    gpu_uuid: str
    started_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A part of a GPU that a session occupies, as far as the hub knows."""

    account: str
    gpu_uuid: str
    ask: Ask


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Where a session may start, and when it has to have ended without the books."""

    gpu: GpuUse
    ends_at: datetime


class BadOpening(Exception):
    """An emergency cannot be opened like this; `faults` has a sentence for each field."""

    def __init__(self, faults: dict[str, str]) -> None:
        super().__init__(" ".join(faults.values()))
        self.faults = faults


def opened(emergency_id: UUID, hours: str, reason: str, *, by: str, now: datetime) -> Emergency:
    """Open an emergency as somebody wrote it.

    Raises:
        BadOpening: the hours or the reason cannot be used.

    """
    faults = {}
    length = _length_of(hours)
    if length is None or not timedelta(minutes=LEAST_MINUTES) <= length <= MOST_LENGTH:
        faults["hours"] = f"Write hours from 0.25 to {MOST_HOURS}, like 1.5."
    reason = reason.strip()
    if not reason:
        faults["reason"] = "Say why; it is written to the audit trail."
    else:
        try:
            check_text(reason, "The reason")
        except BadText as error:
            faults["reason"] = error.message
    if faults or length is None:
        raise BadOpening(faults)
    return Emergency(id=emergency_id, opened_by=by, reason=reason, opened_at=now,
                     until=now + length)  # fmt: skip


def refusal_of(lab: Lab, account: str, now: datetime) -> str | None:
    """Say why somebody may not start on a GPU at all, by the rules that need no books."""
    section = lab.section_of(account)
    if section is None:
        return "You are on the roster of no section of this lab, so no GPU session can start."
    if current_week(lab, section, now) is None:
        return "No week of the program is running, so no GPU session can start."
    closed = closed_now(lab, now)
    if closed is not None:
        return f"The GPUs are closed now: {closed.title}. CPU servers work meanwhile."
    return None


def ends_at(
    emergency: Emergency, starts: Iterable[EmergencyStart], account: str, lab: Lab, now: datetime
) -> datetime:
    """Return when the session of a scholar has to have ended, whatever they do.

    Counted from their first start in this emergency: starting again gives no more time.
    """
    mine = [one.started_at for one in starts
            if one.account == account and one.emergency_id == emergency.id]  # fmt: skip
    horizon = timedelta(seconds=lab.policy.outage_horizon_s)
    return min(emergency.until, min(mine, default=now) + horizon)


def place(
    flavor: Flavor, account: str, gpus: Collection[GpuUse], taken: Collection[Taken], *,
    until: datetime, lab: Lab, now: datetime,
) -> Placed | str:  # fmt: skip
    """Find room for a session; else say why there is none."""
    if until - now < timedelta(seconds=lab.policy.minimum_start_s):
        return (
            "While the lab's books are away a GPU session has a last moment, and yours is less "
            "than the shortest session away. CPU servers work meanwhile."
        )
    if any(one.account == account for one in taken):
        return (
            "While the lab's books are away everybody has one GPU session at a time, and yours "
            "has not ended. Stop it, or start on a CPU."
        )
    if not gpus:
        return "The hub does not know which GPUs there are, so no GPU session can start."
    found = choose(_occupied(gpus, taken), ask_of(flavor), max_sharers=lab.gpus.max_sharers,
                   placement=lab.gpus.placement)  # fmt: skip
    if found is None:
        return (
            "All GPUs are taken, and while the lab's books are away nobody keeps a waiting line. "
            "Try again in some minutes, or start on a CPU."
        )
    return Placed(gpu=found, ends_at=until)


def _occupied(gpus: Collection[GpuUse], taken: Iterable[Taken]) -> list[GpuUse]:
    by_uuid = {gpu.uuid: replace(gpu, used_mgpu=0, used_mib=0, sharers=0) for gpu in gpus}
    for one in taken:
        if one.gpu_uuid in by_uuid:
            by_uuid[one.gpu_uuid] = occupy(by_uuid[one.gpu_uuid], one.ask)
    return list(by_uuid.values())


def _length_of(hours: str) -> timedelta | None:
    text = hours.strip()
    if _HOURS.fullmatch(text) is None:
        return None
    return timedelta(hours=float(text.replace(",", ".")))
