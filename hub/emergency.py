"""Emergency mode: GPU sessions start although the books are away, for some hours at most.

The hub owns the switch, since what is away may be service and database. Everything about it is in
a file of the hub's own until the service has taken note of it.
See docs/decisions/0020-emergency.md.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID, uuid4

from prometheus_client import Gauge

from hub.client import ServiceRefused, ServiceUnavailable
from hub.gpu_room import GpuRoom
from hub.kept_file import KeptFile
from hub.policy import HasLab
from hub.replies import Gpu, Gpus
from quota.admission import ask_of
from quota.clock import Clock
from quota.emergency import (
    BadOpening,
    Emergency,
    EmergencyStart,
    Placed,
    ends_at,
    opened,
    place,
    refusal_of,
)
from quota.lab_gpus import Flavor

log = logging.getLogger(__name__)

# How often the service is told what it does not know yet, and asked for the GPUs.
_EVERY_S = 30.0
# Of a lab that starts nothing is known yet.
_AT_START_S = 3.0
# What the service has taken note of is shown for a while, then forgotten.
_REMEMBERED_FOR = timedelta(days=7)


# With the hub's own metrics, since the service's are away when it matters most. One for the
# process, as the hub's all are.
_IS_OPEN = Gauge("gpulab_hub_emergency_open", "1 while an emergency is open at the hub.")


class NoRoom(Exception):
    """The session cannot start in the emergency; the text says why, for the scholar."""


class TellsBooks(Protocol):
    """What emergency mode needs of the service."""

    async def gpus(self) -> Gpus:
        """See all GPUs, and who is on them."""

    async def tell_emergency(self, one: Emergency) -> None:
        """Tell of an emergency, or of its end."""

    async def tell_emergency_start(self, one: EmergencyStart) -> None:
        """Tell of a session that was started in an emergency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A start in an emergency, and whether the books know of it."""

    one: EmergencyStart
    is_told: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An emergency with its starts, and whether the books know of it as it is now."""

    one: Emergency
    starts: tuple[Start, ...] = ()
    is_told: bool = False

    @property
    def is_settled(self) -> bool:
        """Tell whether the books know all of it."""
        return self.is_told and all(start.is_told for start in self.starts)


class EmergencyMode:
    """The switch, what was started under it, and the way back into the books."""

    def __init__(self, state_dir: Path, service: TellsBooks, policy: HasLab, clock: Clock) -> None:
        self.room = GpuRoom(state_dir / "known-gpus.json", clock)
        self._file: KeptFile[tuple[Record, ...]] = KeptFile(
            state_dir / "emergency.json", tuple[Record, ...]
        )
        self._service = service
        self._policy = policy
        self._clock = clock
        self._records = self._file.read(())
        self._placing = asyncio.Lock()
        self._telling = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None
        _IS_OPEN.set_function(lambda: float(self.now_open() is not None))

    # -- the switch ---------------------------------------------------------------------------

    @property
    def records(self) -> tuple[Record, ...]:
        """The emergencies of the last days, the oldest first."""
        return self._records

    def now_open(self) -> Emergency | None:
        """Return the emergency that is open now; None when none is."""
        now = self._clock.now()
        return next((each.one for each in self._records if each.one.is_open(now)), None)

    def open(self, hours: str, reason: str, *, by: str) -> Emergency:
        """Open an emergency.

        Raises:
            BadOpening: it cannot be opened like this, or one is open.
            OSError: it could not be kept.

        """
        if self.now_open() is not None:
            raise BadOpening({"hours": "An emergency is open already; close it first."})
        now = self._clock.now()
        one = opened(uuid4(), hours, reason, by=by, now=now)
        kept = tuple(each for each in self._records
                     if not each.is_settled or each.one.until > now - _REMEMBERED_FOR)  # fmt: skip
        self._keep((*kept, Record(one=one)))
        log.warning("%s opened an emergency until %s: %s", by, one.until.isoformat(), one.reason)
        return one

    def close(self, *, by: str) -> None:
        """End the emergency that is open; what was started in it keeps its own end."""
        now = self._clock.now()
        self._keep(tuple(
            replace(each, one=replace(each.one, closed_by=by, closed_at=now), is_told=False)
            if each.one.is_open(now) else each
            for each in self._records
        ))  # fmt: skip
        log.warning("%s closed the emergency", by)

    # -- a start without the books ----------------------------------------------------------------

    async def give(self, spawner: Any, flavor: Flavor, lease_id: UUID) -> Gpu | None:
        """Find a GPU for a session and note its start; None when no emergency is open.

        Raises:
            NoRoom: it may not start, or there is no room.
            OSError: the start could not be kept, so it must not happen.

        """
        # One at a time: of two that reach for the same room, one gets it.
        async with self._placing:
            emergency = self.now_open()
            if emergency is None:
                return None
            placed = await self._place(spawner, flavor, emergency)
            now = self._clock.now()
            start = EmergencyStart(
                lease_id=lease_id, emergency_id=emergency.id, account=spawner.user.name,
                server_name=spawner.name, flavor=flavor.name, gpu_uuid=placed.gpu.uuid,
                started_at=now, ends_at=placed.ends_at,
            )  # fmt: skip
            self._add(start)
            self.room.note(lease_id, spawner.user.name, placed.gpu.uuid, ask_of(flavor))
        spawner.emergency_until = placed.ends_at.isoformat()
        log.warning("lease %s starts without the books on %s, until %s", lease_id,
                    placed.gpu.uuid, placed.ends_at.isoformat())  # fmt: skip
        return Gpu(
            uuid=placed.gpu.uuid, virtual=placed.gpu.kind == "virtual",
            memory_mib=flavor.memory_mib, gpu_memory_mib=placed.gpu.memory_mib,
            sharing=placed.gpu.sharing, holds_memory=placed.gpu.holds_memory,
        )  # fmt: skip

    def end_of(self, account: str) -> datetime | None:
        """Return when a scholar's session ends that started without the books, if one may run."""
        now = self._clock.now()
        ends = [start.one.ends_at for each in self._records for start in each.starts
                if start.one.account == account and start.one.ends_at > now]  # fmt: skip
        return max(ends, default=None)

    async def _place(self, spawner: Any, flavor: Flavor, emergency: Emergency) -> Placed:
        lab, name, now = self._policy.lab, spawner.user.name, self._clock.now()
        no = refusal_of(lab, name, now)
        if no is not None:
            raise NoRoom(no)
        starts = [start.one for each in self._records for start in each.starts]
        until = ends_at(emergency, starts, name, lab, now)
        taken = await self.room.taken(spawner.trace, spawn_timeout_s=lab.policy.spawn_timeout_s)
        found = place(flavor, name, self.room.gpus, taken, until=until, lab=lab, now=now)
        if isinstance(found, str):
            raise NoRoom(found)
        return found

    # -- the way back into the books --------------------------------------------------------------

    async def tell(self) -> None:
        """Tell the service what it does not know yet; nothing is asked where it knows all.

        Before any other request for a GPU: what runs is then in its place in the books.

        Raises:
            ServiceUnavailable: it does not answer; the rest is told later.

        """
        if all(each.is_settled for each in self._records):
            return
        async with self._telling:
            for each in self._records:
                if not each.is_told:
                    await _told(self._service.tell_emergency, each.one)
                    self._note_told(each.one)
                for start in each.starts:
                    if not start.is_told:
                        await _told(self._service.tell_emergency_start, start.one)
                        self._note_told(start.one)

    async def learn(self) -> None:
        """Ask the service for the GPUs.

        Raises:
            ServiceUnavailable: it does not answer.

        """
        asked_at = self._clock.now()
        try:
            told = await self._service.gpus()
        except ServiceRefused as no:
            log.warning("the service does not tell the GPUs: %s", no.code)
            return
        self.room.learn(told, asked_at=asked_at)

    def watch(self) -> None:
        """Keep both up to date beside everything else, as long as the hub runs."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # somebody only looks at the configuration, which the hub reads in its loop
        self._watching = loop.create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            try:
                await self.tell()
                await self.learn()
            except ServiceUnavailable:
                pass  # the client has said so
            except Exception:
                log.exception("the service could not be told of emergencies")
            await asyncio.sleep(_EVERY_S if self.room.gpus else _AT_START_S)

    # -- the file ---------------------------------------------------------------------------------

    def _add(self, start: EmergencyStart) -> None:
        self._keep(tuple(
            replace(each, starts=(*each.starts, Start(one=start)))
            if each.one.id == start.emergency_id else each
            for each in self._records
        ))  # fmt: skip

    def _note_told(self, what: Emergency | EmergencyStart) -> None:
        # Compared as it was told: what has changed since has to be told again.
        self._keep(tuple(
            replace(
                each, is_told=each.is_told or each.one == what,
                starts=tuple(replace(start, is_told=start.is_told or start.one == what)
                             for start in each.starts),
            )
            for each in self._records
        ))  # fmt: skip

    def _keep(self, records: tuple[Record, ...]) -> None:
        self._file.write(records)
        self._records = records


async def _told(tell: Callable[[Any], Awaitable[None]], what: Emergency | EmergencyStart) -> None:
    try:
        await tell(what)
    except ServiceRefused as no:
        # Told again it would be refused again; the trail lacks it, so an operator has to know.
        log.error("the books refuse what happened in an emergency: %s, %s", no.code, what)
