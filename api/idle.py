"""Looking at what sessions do, and what becomes of those that only keep a GPU from others.

Beside the worker's tick, in a thread of its own: a slow driver or hub must not hold up metering.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from api.after_ticks import after_ticks
from api.forgotten import Forgotten
from api.gpus.choose import load_nvml
from api.gpus.devices import GpuLook, GpuSource, InventoryUnavailable
from api.gpus.memory import MemoryHolder
from api.gpus.nvml import NvmlGpus
from api.gpus.processes import (
    ContainerOwners,
    Owners,
    Process,
    TreeOwners,
    look_at_processes,
)
from api.gpus.states import History, Look, computes, state_of, with_look
from api.gpus.uses import Measuring, with_measured
from api.hub_activity import HubActivity, HubLook, Server
from api.settings import WorkerSettings
from api.worker_metrics import WorkerMetrics
from quota.errors import BooksUnavailable
from quota.idling import Idling, OpenSession
from quota.service import Books
from quota.session_states import RunningSession, SessionState

log = structlog.get_logger()

# After so many ticks without a look it is not known what happened meanwhile.
_GAP_TICKS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What one look saw of the whole machine."""

    at: datetime
    gpus: GpuLook
    processes: Mapping[int, Process]
    owners: Mapping[int, str]


class IdleWatch:
    """Looks at all sessions once for each tick of the worker."""

    def __init__(
        self,
        idling: Idling,
        gpus: GpuSource,
        owners: Owners,
        activity: HubActivity,
        *,
        metrics: WorkerMetrics,
        memory: MemoryHolder | None = None,
        on_released: Callable[[], None] = lambda: None,
        processes: Callable[[], Mapping[int, Process]] = look_at_processes,
    ) -> None:
        self._idling = idling
        self._gpus = gpus
        self._owners = owners
        self._activity = activity
        self._metrics = metrics
        self.memory = memory
        self._on_released = on_released
        self._processes = processes
        self._forgotten = Forgotten()
        self._histories: dict[UUID, History] = {}
        self._measured: dict[UUID, Measuring] = {}
        self._computed_s: dict[UUID, tuple[datetime, float]] = {}
        self.ticked = threading.Event()

    def run(self, stopped: threading.Event) -> None:
        """Look after each tick until told to stop; nothing that fails ends the loop."""
        after_ticks(self.ticked, stopped, self.try_look)
        self._activity.close()

    def try_look(self) -> None:
        """Look once; what fails is tried again at the next tick, and concludes nothing."""
        outcome = "done"
        try:
            self.look()
        except BooksUnavailable as error:
            outcome = "failed"
            log.warning("look_failed", error=type(error).__name__)
        except Exception:
            outcome = "broken"
            log.exception("look_broken", alarm=True)
        self._metrics.count_look(outcome)

    def look(self) -> None:
        """Look at all running sessions and write down what they do."""
        running = self._idling.running()
        machine = self._look_at_machine([one.session for one in running])
        if self.memory is not None:
            self.memory.hold((one.session for one in running), machine.processes,
                              machine.owners)  # fmt: skip
        for one in running:
            self._add_look(one, machine)
        self._forget(running)
        hub = self._activity.look()
        self._note_forgotten(running, hub, machine.at)
        signs = None if hub is None else hub.signs
        states = {one.session.lease_id: self._state(one.session, signs) for one in running}
        self._post_activity(running, signs, machine.at)
        on_gpus = {one.session.lease_id: states[one.session.lease_id] for one in running
                   if one.session.gpu_uuid is not None}  # fmt: skip
        self._metrics.note_states(one.state for one in on_gpus.values())
        self._metrics.note_gpus(machine.gpus)
        uses = {key: self._measured[key].use for key in on_gpus}
        released = self._idling.note(on_gpus, uses)
        for lease_id in released:
            log.info("gpu_released", lease=str(lease_id), state=states[lease_id].state)
        if released:
            self._on_released()

    # -- one look -----------------------------------------------------------------------------

    def _look_at_machine(self, sessions: list[RunningSession]) -> Machine:
        try:
            gpus = self._gpus.look()
        except InventoryUnavailable as error:
            log.warning("gpus_not_told", error=str(error))
            gpus = GpuLook(is_answered=False)
        processes = self._processes()
        owners = self._owners.sessions_of(processes, [one.ref for one in sessions])
        return Machine(at=self._idling.books.clock.now(), gpus=gpus, processes=processes,
                       owners=owners)  # fmt: skip

    def _add_look(self, open_session: OpenSession, machine: Machine) -> None:
        one, stored = open_session.session, open_session.state
        gap = timedelta(seconds=_GAP_TICKS * self._idling.books.lab.policy.tick_s)
        look = look_at(one, machine, cpu_cores=self._cpu_cores(one, machine))
        self._histories[one.lease_id] = with_look(
            self._histories.get(one.lease_id), look, self._idling.rules, longest_gap=gap
        )
        if one.gpu_uuid is None:
            return
        before = self._measured.get(one.lease_id)
        if before is None and stored is not None and stored.use is not None:
            # A worker that starts anew goes on with what the books have.
            before = Measuring(use=stored.use)
        self._measured[one.lease_id] = with_measured(before, look, longest_gap=gap)

    def _cpu_cores(self, one: RunningSession, machine: Machine) -> float | None:
        """Return how many cores a session kept busy since the last look; None: not known."""
        mine = [pid for pid, ref in machine.owners.items() if ref == one.ref]
        before = self._computed_s.pop(one.lease_id, None)
        if not mine:
            return None
        total_s = sum(machine.processes[pid].cpu_s for pid in mine)
        self._computed_s[one.lease_id] = (machine.at, total_s)
        if before is None or machine.at <= before[0]:
            return None
        # Where it became less, something has ended that computed and took its count along.
        used_s = abs(total_s - before[1])
        return used_s / (machine.at - before[0]).total_seconds()

    def _forget(self, running: list[OpenSession]) -> None:
        there = {one.session.lease_id for one in running}
        for known in (self._histories, self._measured, self._computed_s):
            for lease_id in set(known) - there:
                del known[lease_id]

    # -- what follows -------------------------------------------------------------------------

    def _note_forgotten(
        self, running: list[OpenSession], hub: HubLook | None, now: datetime
    ) -> None:
        """Tell the operator and the scholar of sessions that the hub has lost."""
        if hub is not None:
            tick_s = self._idling.books.lab.policy.tick_s
            for one in self._forgotten.look(
                [one.session for one in running], hub.servers, now, tick_s=tick_s
            ):
                log.warning("session_forgotten", lease=str(one.lease_id), account=one.account,
                            server=one.server_name, ref=one.ref[:64], alarm=True)  # fmt: skip
                self._idling.tell_forgotten(one.lease_id)
        self._metrics.note_forgotten(len(self._forgotten.since))

    def _state(self, one: RunningSession, signs: Mapping[Server, datetime] | None) -> SessionState:
        person_at = None
        if signs is not None:
            # Nobody can come to a session that the hub has lost: it is left alone as long as it
            # computes, and no longer.
            lost_at = self._forgotten.since.get(one.lease_id)
            person_at = signs.get((one.account, one.server_name), lost_at)
        return state_of(self._histories[one.lease_id], person_at, self._idling.rules)

    def _post_activity(
        self, running: list[OpenSession], signs: Mapping[Server, datetime] | None, now: datetime
    ) -> None:
        """Tell the hub of sessions that compute although nobody is there."""
        if signs is None:
            return
        rules = self._idling.rules
        quiet = now - timedelta(minutes=rules.active_min)
        servers = [
            key for one in running
            if (key := (one.session.account, one.session.server_name)) in signs
            and signs[key] < quiet and computes(self._histories[one.session.lease_id], rules)
        ]  # fmt: skip
        # Often enough for the culler, whose time is longer, and for many sessions at once.
        every = timedelta(minutes=rules.active_min) / 2
        self._activity.post(servers, signs, now, every=every)


def open_watch(
    settings: WorkerSettings, books: Books, gpus: GpuSource, metrics: WorkerMetrics, *,
    on_released: Callable[[], None],
) -> IdleWatch:  # fmt: skip
    """Put together what looks at the sessions of a worker's runtime."""
    in_containers = settings.spawner == "docker"
    is_real = isinstance(gpus, NvmlGpus)
    return IdleWatch(
        Idling(books),
        gpus,
        ContainerOwners() if in_containers else TreeOwners(settings.state_dir / "sessions"),
        HubActivity(settings.hub_api_url, settings.secret("service_token")),
        metrics=metrics,
        # Processes that share one cgroup cannot be held apart.
        memory=MemoryHolder(load_nvml()) if in_containers and is_real else None,
        on_released=on_released,
    )


def look_at(one: RunningSession, machine: Machine, *, cpu_cores: float | None) -> Look:
    """Put together what was seen of one session. Pure.

    A session without a GPU has nothing on one. Where a process on its GPU belongs to nobody known,
    it may be the session's own, under a number that says nothing here.
    """
    if one.gpu_uuid is None:
        return Look(at=machine.at, has_gpu_process=False, sm_percent=0.0, cpu_cores=cpu_cores)
    there = machine.gpus.on(one.gpu_uuid)
    mine = [item for item in there if machine.owners.get(item.pid) == one.ref]
    strangers = any(item.pid not in machine.owners for item in there)
    if one.gpu_uuid not in machine.gpus.told or strangers:
        return Look(at=machine.at, has_gpu_process=None, sm_percent=None, cpu_cores=cpu_cores)
    percent = _sum([item.sm_percent for item in mine])
    held_mib = _sum([item.memory_mib for item in mine])
    return Look(
        at=machine.at,
        has_gpu_process=bool(mine),
        sm_percent=None if percent is None else min(100.0, percent),
        cpu_cores=cpu_cores,
        held_mib=None if held_mib is None else int(held_mib),
    )


def _sum(parts: Sequence[float | None]) -> float | None:
    """Sum parts up; with one that is not told, the sum is not known."""
    told = [one for one in parts if one is not None]
    return sum(told) if len(told) == len(parts) else None
