"""The hub's side of a lease: ask before a start, tell after a stop. The service decides.

A failing service never becomes a failure of the hub: whatever goes wrong here is a `Refused`,
which JupyterHub shows and does not count.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from hub import refusals
from hub.client import LabService, ServiceRefused, ServiceUnavailable
from hub.emergency import EmergencyMode, NoRoom
from hub.policy import HasLab
from hub.progress import Note
from hub.refusals import Reader, Refused
from hub.replies import Gpu, Lease, Line
from quota.admission import ask_of
from quota.clock import Clock
from quota.lab import Lab
from quota.lab_gpus import Flavor
from quota.lease_ids import make_lease_id
from quota.leases import LeaseRequest

log = logging.getLogger(__name__)

_ASK_EVERY_S = 2.0
# One whose turn has not come keeps the place while the service is restarted; the service itself
# forgets who is silent for 120 s (lab.yaml, waiter_timeout_s).
_PATIENCE_S = 60.0
# A stop that could not be told is told again for about ten minutes: by then the books have voided
# a hold without a session by themselves.
_TELL_AGAIN_S = (2.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0)


class Admission:
    """`pre_spawn_hook` and `post_stop_hook` of every spawner."""

    def __init__(
        self,
        service: LabService,
        policy: HasLab,
        *,
        hub_id: str,
        home_url: str,
        clock: Clock,
        emergency: EmergencyMode | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._emergency = emergency
        self._service = service
        self._policy = policy
        self._hub_id = hub_id
        self._home_url = home_url
        self._clock = clock
        self._sleep = sleep
        self._monotonic = monotonic
        self._telling: set[asyncio.Task[None]] = set()

    async def pre_spawn(self, spawner: Any) -> None:
        """Get a lease for a session, waiting in the line if need be.

        Raises:
            Refused: it may not start; says why, and what to do.

        """
        reader = reader_of(self._policy.lab, spawner.user.name, self._home_url)
        try:
            await self._admit(spawner, reader)
        except asyncio.CancelledError:
            # Stop was pressed. The hub does not clean up after a cancelled start by itself.
            self._leave(spawner, "left_line")
            raise
        except Refused:
            self._leave(spawner, "spawn_failed")
            raise
        except Exception as error:
            log.exception("a session could not be prepared")
            self._leave(spawner, "spawn_failed")
            raise refusals.went_wrong(reader) from error

    async def post_stop(self, spawner: Any) -> None:
        """Tell the service that a session ended, or never came to be; never raises."""
        self._leave(spawner, _reason_of(spawner))

    async def settle(self) -> None:
        """Wait until everything is told that is being told."""
        while self._telling:
            await asyncio.wait(set(self._telling))

    async def _admit(self, spawner: Any, reader: Reader) -> None:
        lab = self._policy.lab
        flavor = lab.flavors[spawner.flavor_name]
        lease_id = make_lease_id(self._clock.now())
        spawner.begin_waiting()
        _remember(spawner, lease_id)
        wanted = LeaseRequest(
            hub_id=self._hub_id, account=spawner.user.name, server_name=spawner.name,
            flavor=flavor.name, image=spawner.image_name,
        )  # fmt: skip
        try:
            lease = await self._ask(lease_id, wanted)
            lease = await self._wait_for_turn(spawner, lease, wanted)
        except ServiceUnavailable as error:
            if flavor.is_gpu:
                await self._start_without_books(spawner, flavor, reader, error)
                return
            # Costs nothing and takes no GPU: it starts, and the worker adopts its lease later.
            log.warning("a session without a GPU starts while the service is away")
            _prepare(spawner, flavor, None)
            return
        except ServiceRefused as no:
            # The books keep nothing of what they refuse, so there is nothing to give back. A place
            # that was kept while the question was on its way is one of no server.
            spawner.lease_id = ""
            raise refusals.refused(
                no.code, no.detail, reader=reader, retry_at=no.retry_at, ask=no.ask
            ) from no
        if lease.state in ("stopping", "ended"):
            raise refusals.ended_early(lease.end_text, reader)
        if flavor.is_gpu and lease.gpu is None:
            log.error("lease %s was admitted without a GPU", lease.id)
            raise refusals.service_away(reader)
        _prepare(spawner, flavor, lease.gpu)
        _save_state(spawner)
        if self._emergency is not None and lease.gpu is not None:
            room = self._emergency.room
            room.note(lease.id, spawner.user.name, lease.gpu.uuid, ask_of(flavor))

    async def _ask(self, lease_id: UUID, wanted: LeaseRequest, *, present: bool = True) -> Lease:
        if self._emergency is not None:
            await self._emergency.tell()
        return await self._service.request_lease(lease_id, wanted, present=present)

    async def _start_without_books(
        self, spawner: Any, flavor: Flavor, reader: Reader, why: ServiceUnavailable
    ) -> None:
        if self._emergency is None or self._emergency.now_open() is None:
            raise refusals.service_away(reader) from why
        # The question may have arrived: what the books know under its id is another session's,
        # which has to be given up, and this one is under an id that they have never heard of.
        self._leave(spawner, "spawn_failed")
        lease_id = make_lease_id(self._clock.now())
        _remember(spawner, lease_id)
        try:
            gpu = await self._emergency.give(spawner, flavor, lease_id)
        except NoRoom as no:
            spawner.lease_id = ""  # nobody has heard of it
            raise refusals.no_room_in_emergency(str(no), reader) from no
        if gpu is None:
            spawner.lease_id = ""
            raise refusals.service_away(reader) from why
        _prepare(spawner, flavor, gpu)
        _save_state(spawner)

    async def _wait_for_turn(self, spawner: Any, lease: Lease, wanted: LeaseRequest) -> Lease:
        answered_at = self._monotonic()
        while lease.state == "waiting":
            if lease.waiting is not None:
                spawner.note = note_of(lease.waiting)
            await self._sleep(_ASK_EVERY_S)
            if spawner.place_kept:
                raise refusals.place_kept(
                    reader_of(self._policy.lab, spawner.user.name, self._home_url)
                )
            try:
                lease = await self._ask(lease.id, wanted, present=spawner.is_watched())
                answered_at = self._monotonic()
            except ServiceUnavailable:
                if self._monotonic() - answered_at > _PATIENCE_S:
                    raise
                spawner.note = Note(
                    message="The lab's service does not answer just now. You keep your place; "
                    "this page goes on by itself."
                )
        return lease

    def _leave(self, spawner: Any, reason: str) -> None:
        if not spawner.lease_id:
            return
        lease_id, spawner.lease_id = UUID(spawner.lease_id), ""
        if self._emergency is not None:
            self._emergency.room.note_over(lease_id)
        if spawner.place_kept:
            return  # what ends is only this start
        task = asyncio.get_running_loop().create_task(self._tell(lease_id, reason))
        # A task that nobody holds may be collected before it has run.
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell(self, lease_id: UUID, reason: str) -> None:
        for pause_s in (0.0, *_TELL_AGAIN_S):
            await self._sleep(pause_s)
            try:
                await self._service.stop_lease(lease_id, reason)
            except ServiceUnavailable:
                continue
            except ServiceRefused as no:
                # A request that nobody answered may still arrive, and a session that started
                # while the service was away may still be adopted: then the end has to come after.
                if no.code == "no_such_lease":
                    continue
                log.warning("the end of lease %s was refused: %s", lease_id, no.code)
            except Exception:
                log.exception("the end of lease %s could not be told", lease_id)
            return
        log.info("the end of lease %s could not be told; the worker will see it", lease_id)


def note_of(line: Line) -> Note:
    """Say where one stands in the line."""
    place = f"You are number {line.position} of {line.of} in the line. "
    wait = ""
    if line.estimated_wait_s is not None and not line.offered:
        wait = f" {wait_text(line.estimated_wait_s)}"
    return Note(message=f"{place}{line.text}{wait}", position=line.position, of=line.of,
                estimated_wait_s=line.estimated_wait_s)  # fmt: skip


def wait_text(wait_s: int) -> str:
    """Say how long it may take, no more exactly than can be known."""
    if wait_s < 60:
        return "It should be less than a minute."
    minutes = -(-wait_s // 60)
    if minutes < 90:
        return f"It may take about {minutes} {'minute' if minutes == 1 else 'minutes'}."
    return f"It may take about {-(-minutes // 60)} hours."


def reader_of(lab: Lab, name: str, home_url: str) -> Reader:
    """Tell whom a sentence is for."""
    section = lab.section_of(name)
    return Reader(time_zone=section.time_zone if section else "UTC", home_url=home_url,
                  is_organizer=name in lab.organizers)  # fmt: skip


def _remember(spawner: Any, lease_id: UUID) -> None:
    """Write the lease id down before anybody is asked, so that a killed hub still knows it."""
    spawner.lease_id = str(lease_id)
    spawner.gpu_uuid = spawner.emergency_until = ""
    _save_state(spawner)


def _save_state(spawner: Any) -> None:
    spawner.orm_spawner.state = spawner.get_state()
    spawner.user.db.commit()


def _prepare(spawner: Any, flavor: Flavor, gpu: Gpu | None) -> None:
    spawner.gpu_uuid = gpu.uuid if gpu else ""
    spawner.gpu_is_virtual = gpu is not None and gpu.virtual
    spawner.memory_fraction = _fraction(gpu)
    spawner.cpus = flavor.cpus
    spawner.ram_mib = flavor.ram_mib
    spawner.admitted_title = flavor.title


def _fraction(gpu: Gpu | None) -> float:
    """Return the part of a GPU's memory that a session is to keep to by itself; 0 for none."""
    if gpu is None or gpu.holds_memory or not gpu.gpu_memory_mib:
        return 0.0
    return min(1.0, gpu.memory_mib / gpu.gpu_memory_mib)


def _reason_of(spawner: Any) -> str:
    """Tell why a session ended, as far as the hub knows: only a hint, the worker looks itself."""
    if getattr(spawner, "_stop_future", None) is not None:
        return "person"
    spawning = getattr(spawner, "_spawn_future", None)
    if spawning is not None and not spawning.done():
        return "spawn_failed"
    return "server_gone"
