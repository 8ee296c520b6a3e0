"""What the hub knows of the GPUs and of who is on them, for the time when the books are away.

The service tells it now and then; what was granted since is added, and what has ended is found out
at the runtime, which is the only one to know. Kept in a file, so that a restart forgets nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, TypeAlias
from uuid import UUID

from hub.attentive import Unseen
from hub.kept_file import KeptFile
from hub.replies import Gpus, KnownGpu, Occupied
from quota.clock import Clock
from quota.emergency import Taken
from quota.placement import Ask, GpuUse

log = logging.getLogger(__name__)

Trace: TypeAlias = Literal["running", "ended", "nowhere"]
Look: TypeAlias = Callable[[str, str], Awaitable[Trace]]
"""What the runtime says of a session, by its lease and by its name at the runtime."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupation:
    """A session's part of a GPU; `is_starting` one may not have shown at the runtime yet."""

    lease_id: UUID
    account: str
    gpu_uuid: str
    share_mgpu: int
    memory_mib: int
    noted_at: datetime
    is_starting: bool
    ref: str = ""

    def may_start(self, since: datetime) -> bool:
        """Tell whether it may still show at the runtime, unless it was noted before `since`."""
        return self.is_starting and self.noted_at >= since


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """All of it, as it is kept."""

    gpus: tuple[GpuUse, ...] = ()
    occupied: tuple[Occupation, ...] = ()


class GpuRoom:
    """The GPUs as they were told last, and the sessions on them."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._file: KeptFile[Known] = KeptFile(path, Known)
        self._clock = clock
        self._known = self._file.read(Known())

    @property
    def gpus(self) -> tuple[GpuUse, ...]:
        """The GPUs that were told last."""
        return self._known.gpus

    def learn(self, told: Gpus, *, asked_at: datetime) -> None:
        """Take over what the service tells; what was granted after it was asked stays."""
        now = self._clock.now()
        theirs = {one.lease_id: _occupation(one, now) for one in told.occupied}
        ours = {one.lease_id: one for one in self._known.occupied if one.noted_at >= asked_at}
        gpus = tuple(_gpu(one) for one in told.gpus)
        self._keep(Known(gpus=gpus, occupied=tuple((theirs | ours).values())))

    def note(self, lease_id: UUID, account: str, gpu_uuid: str, ask: Ask) -> None:
        """Note that a session was granted a part of a GPU."""
        granted = Occupation(
            lease_id=lease_id, account=account, gpu_uuid=gpu_uuid, share_mgpu=ask.share_mgpu,
            memory_mib=ask.memory_mib, noted_at=self._clock.now(), is_starting=True,
        )  # fmt: skip
        others = (one for one in self._known.occupied if one.lease_id != lease_id)
        self._keep(replace(self._known, occupied=(*others, granted)))

    def note_over(self, lease_id: UUID) -> None:
        """Note that a start has failed or a session has ended; the runtime has the last word."""
        if any(one.lease_id == lease_id and one.is_starting for one in self._known.occupied):
            after = tuple(
                replace(one, is_starting=False) if one.lease_id == lease_id else one
                for one in self._known.occupied
            )
            self._keep(replace(self._known, occupied=after))

    async def taken(self, look: Look, *, spawn_timeout_s: int) -> list[Taken]:
        """Find out which parts are really taken now; in doubt one is."""
        since = self._clock.now() - timedelta(seconds=spawn_timeout_s)
        some = self._known.occupied
        traces = await asyncio.gather(*(_trace(look, one) for one in some))
        return [
            Taken(account=one.account, gpu_uuid=one.gpu_uuid,
                  ask=Ask(one.share_mgpu, one.memory_mib))
            for one, trace in zip(some, traces, strict=True)
            if trace == "running" or (trace == "nowhere" and one.may_start(since))
        ]  # fmt: skip

    def _keep(self, known: Known) -> None:
        self._known = known
        try:
            self._file.write(known)
        except OSError as error:
            # It is still known as long as this hub lives.
            log.warning("what is known of the GPUs could not be kept: %s", error)


async def _trace(look: Look, one: Occupation) -> Trace:
    try:
        return await look(str(one.lease_id), one.ref)
    except Unseen as error:
        log.warning("lease %s could not be looked for: %s", one.lease_id, str(error)[:200])
        return "running"


def _occupation(one: Occupied, now: datetime) -> Occupation:
    return Occupation(
        lease_id=one.lease_id, account=one.account, gpu_uuid=one.gpu_uuid, ref=one.ref,
        share_mgpu=one.share_mgpu, memory_mib=one.memory_mib, noted_at=now,
        is_starting=one.is_starting,
    )  # fmt: skip


def _gpu(one: KnownGpu) -> GpuUse:
    return GpuUse(uuid=one.uuid, name=one.name, kind=one.kind, memory_mib=one.memory_mib,
                  in_service=one.in_service, used_mgpu=0, used_mib=0, sharers=0,
                  sharing=one.sharing, holds_memory=one.holds_memory)  # fmt: skip
