"""The worker: observe the runtime, bring the books up to it, stop what has to end.

Every 15 s (policy), at the next instant at which some account runs out, and whenever the runtime
says that something started or died. One holder at a time.
"""

import signal
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from types import FrameType

import structlog

from api.census import Census
from api.deadlines import Deadlines, SessionDeadline, write_deadlines
from api.doctor.certificate import watched_certificate
from api.doctor.watching import watched_parts
from api.enforce import Enforcer
from api.gpus.choose import choose_gpus
from api.gpus.devices import GpuInventory, InventoryUnavailable, as_empty
from api.gpus.memory import MemoryHolder
from api.hubclient import HubClient
from api.idle import open_watch
from api.logs import configure_logs
from api.notify import sending
from api.policy import LabFile, Policy
from api.runtimes.choose import open_runtime
from api.runtimes.protocol import Runtime, RuntimeUnavailable, StillRunning
from api.settings import WorkerSettings
from api.sharing import open_shares
from api.sightings import Sightings
from api.starting import plain_exit, require_current
from api.steady import steady_clock
from api.worker_metrics import WorkerMetrics, served
from quota.clearing import keep_reservations
from quota.clock import Clock, ms_between
from quota.errors import BooksUnavailable
from quota.failpoints import failpoint
from quota.service import Books
from quota.store.engine import open_engine
from quota.store.singleton import sole_holder
from quota.tick import TickResult

log = structlog.get_logger()

_CHECKPOINT_EVERY = timedelta(minutes=10)
# After an event the runtime often has several more at once; look once for all of them.
_SETTLE_S = 0.2
# A look at the sessions that waits for a silent hub is not waited for much longer.
_LOOK_ENDS_S = 12.0


class Worker:
    """One loop over one hub's books and one runtime."""

    def __init__(
        self,
        books: Books,
        runtime: Runtime,
        enforcer: Enforcer,
        inventory: GpuInventory,
        *,
        policy: Policy,
        save_deadlines: Callable[[Deadlines], None],
        metrics: WorkerMetrics,
        sightings: Sightings | None = None,
        is_sole: Callable[[], bool] = lambda: True,
        memory: MemoryHolder | None = None,
        on_ticked: Callable[[], None] = lambda: None,
    ) -> None:
        self._books = books
        self._is_sole = is_sole
        self._runtime = runtime
        self._enforcer = enforcer
        self._inventory = inventory
        self._policy = policy
        self._save_deadlines = save_deadlines
        self._metrics = metrics
        self._sightings = sightings or Sightings(None)
        self._memory = memory
        self._on_ticked = on_ticked
        self._last_checkpoint = books.clock.now() - _CHECKPOINT_EVERY
        self.nudged = threading.Event()

    def tick(self) -> TickResult:
        """Do one pass.

        Raises:
            RuntimeUnavailable: the runtime cannot be seen; nothing was concluded from that.
            BooksUnavailable: the database does not answer.

        """
        if self._policy.refresh():
            self._books.lab = self._policy.lab
        self._enforcer.grace_s = self._books.lab.policy.grace_s
        seen_at = self._books.clock.now()
        observed = self._sightings.complete(self._runtime.observe())
        failpoint("observed")
        result = self._books.tick(observed, seen_at=seen_at)
        self._sightings.forget()
        self._write_deadlines(result)
        self._enforcer.carry_out(result.stops)
        failpoint("stops_begun")
        self._metrics.note_stops(len(result.stops))
        for ref in result.removals:
            self._remove(ref)
        for stray in result.adopted:
            if stray.emergency_until is not None:
                log.info("emergency_session_adopted", ref=stray.ref[:64], flavor=stray.flavor)
                continue
            log.warning("session_adopted", ref=stray.ref[:64], flavor=stray.flavor, alarm=True)
        keep_reservations(self._books)
        # Whose turn it is follows from what has ended; nobody's stop waits for it.
        self._books.ask_for_kept_places()
        self._checkpoint_if_due()
        return result

    def take_inventory(self) -> None:
        """Write which GPUs there are."""
        gpus, found = self._books.lab.gpus, self._inventory.devices()
        held: frozenset[str] = frozenset()
        if self._memory is not None and gpus.memory == "auto":
            held = self._memory.promise(found)
        self._books.set_inventory(as_empty(found, gpus, held=held))

    def run(self, stopped: threading.Event) -> None:
        """Tick until told to stop; nothing that fails ends the loop."""
        while not stopped.is_set():
            began = time.monotonic()
            result = self._try_tick()
            self._on_ticked()
            wait_s = self._wait_s(result) - (time.monotonic() - began)
            self.nudged.wait(max(0.05, wait_s))
            if self.nudged.is_set():
                stopped.wait(_SETTLE_S)
                self.nudged.clear()

    def _try_tick(self) -> TickResult | None:
        began, outcome, result = time.monotonic(), "done", None
        if not self._is_sole():
            # The database was restarted and forgot the lock, or does not answer.
            log.warning("role_not_held")
            self._metrics.count_tick("failed", time.monotonic() - began)
            return None
        try:
            self._try_inventory()
            result = self.tick()
        except (RuntimeUnavailable, BooksUnavailable) as error:
            outcome = "failed"
            log.warning("tick_failed", error=type(error).__name__, detail=str(error))
            if isinstance(error, BooksUnavailable):
                self._sightings.look(self._runtime, self._books.clock)
        except Exception:
            # A fault of ours must not end metering for everybody; the alarm is the stale tick.
            outcome = "broken"
            log.exception("tick_broken", alarm=True)
        self._metrics.count_tick(outcome, time.monotonic() - began)
        return result

    def _try_inventory(self) -> None:
        try:
            self.take_inventory()
        except InventoryUnavailable as error:
            # The GPUs known so far stay: what runs is metered and stopped all the same.
            log.warning("inventory_failed", error=str(error))

    def _wait_s(self, result: TickResult | None) -> float:
        tick_s = float(self._books.lab.policy.tick_s)
        if result is None or result.next_end_at is None:
            return tick_s
        # It lay ahead when the pass began; a slow pass may have come too late for it.
        until_end_s = ms_between(self._books.clock.now(), result.next_end_at) / 1000
        return min(tick_s, max(until_end_s, 0.0) + 0.001)

    def _write_deadlines(self, result: TickResult) -> None:
        sessions = tuple(
            SessionDeadline(ref=one.ref, lease_id=str(one.lease_id), deadline=one.at)
            for one in result.deadlines
        )
        self._save_deadlines(
            Deadlines(written_at=self._books.clock.now(), runtime=self._runtime.name,
                      sessions=sessions)
        )  # fmt: skip
        failpoint("deadlines_written")

    def _remove(self, ref: str) -> None:
        try:
            self._runtime.remove(ref)
            failpoint("session_removed")
        except (RuntimeUnavailable, StillRunning) as error:
            log.warning("remove_failed", ref=ref[:64], error=str(error)[:200])

    def _checkpoint_if_due(self) -> None:
        now = self._books.clock.now()
        if now - self._last_checkpoint < _CHECKPOINT_EVERY:
            return
        self._last_checkpoint = now
        number, digest = self._books.checkpoint()
        log.info("checkpoint_written", number=number, hash=digest)


def main() -> None:
    """Run the worker until SIGTERM or SIGINT."""
    metrics = WorkerMetrics()
    configure_logs("worker", on_alarm=metrics.count_alarm)
    with plain_exit():
        settings = WorkerSettings()
        stopped = threading.Event()
        url, clock = settings.database_url.get_secret_value(), steady_clock()
        runtime = open_runtime(settings.spawner, settings.state_dir, settings.hub_id)
        sightings = Sightings(settings.state_dir / "sightings.json")
        with (
            sole_holder(url, "worker", give_up=stopped,
                        on_away=lambda: sightings.look(runtime, clock)) as is_sole,
            served(metrics, settings.worker_metrics_port, host=settings.worker_metrics_host),
            watched_parts(metrics, settings.spawner),
            watched_certificate(metrics, settings.certificate_of),
        ):  # fmt: skip
            run_worker(settings, url, stopped, clock, metrics, runtime=runtime,
                       sightings=sightings, is_sole=is_sole)  # fmt: skip


def run_worker(
    settings: WorkerSettings, url: str, stopped: threading.Event, clock: Clock,
    metrics: WorkerMetrics, *, runtime: Runtime, sightings: Sightings,
    is_sole: Callable[[], bool],
) -> None:  # fmt: skip
    """Put a worker together and run it."""
    policy = LabFile(settings.lab_file)
    engine = open_engine(url, pool_size=4)
    require_current(engine)
    metrics.watch_disk(settings.state_dir)
    books = Books(engine, policy.lab, clock, hub_id=settings.hub_id)
    gpus, why = choose_gpus(policy.lab.gpus.mode, policy.lab.gpus.declared)
    log.info("worker_started", runtime=runtime.name, gpus=why)
    hub = HubClient(settings.hub_api_url, settings.secret("service_token"))
    nudge = threading.Event()
    enforcer = Enforcer(
        runtime, hub.stop_server, hub_budget_s=settings.hub_stop_budget_s,
        grace_s=policy.lab.policy.grace_s, on_gone=nudge.set,
    )  # fmt: skip
    watch = open_watch(settings, books, gpus, metrics, on_released=nudge.set)
    after = (watch, open_shares(settings, books), Census(books))

    def on_ticked() -> None:
        for one in after:
            one.ticked.set()

    worker = Worker(
        books, runtime, enforcer, gpus, policy=policy,
        save_deadlines=lambda some: write_deadlines(settings.state_dir / "deadlines.json", some),
        metrics=metrics, sightings=sightings, is_sole=is_sole, memory=watch.memory,
        on_ticked=on_ticked,
    )  # fmt: skip
    worker.nudged = nudge
    _stop_on_signals(stopped, nudge)
    threading.Thread(target=_listen, args=(runtime, nudge, stopped), daemon=True).start()
    beside = [threading.Thread(target=one.run, args=(stopped,), daemon=True) for one in after]
    for thread in beside:
        thread.start()
    with sending(settings, books, metrics.letters):
        worker.run(stopped)
    on_ticked()
    for thread in beside:
        thread.join(timeout=_LOOK_ENDS_S)
    enforcer.close()
    hub.close()
    engine.dispose()
    log.info("worker_stopped")


def _listen(runtime: Runtime, nudge: threading.Event, stopped: threading.Event) -> None:
    """Wake the loop as soon as something starts or dies; losing an event costs one tick."""
    while not stopped.is_set():
        try:
            if runtime.wait_event(timeout_s=5.0):
                nudge.set()
        except RuntimeUnavailable:
            stopped.wait(2.0)


def _stop_on_signals(stopped: threading.Event, nudge: threading.Event) -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()
        nudge.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


if __name__ == "__main__":
    main()
