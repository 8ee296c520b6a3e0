"""The last line: a second, tiny process that stops what has outlived its deadline.

It knows only the worker's file and the runtime; it works when worker, service, hub and database
are all dead. While the worker lives it has nothing to do, since deadlines move on at every tick.
What an emergency let start while the books were away is in no file: such a session carries its
deadline itself, which holds until the worker's file names it.
"""

import signal
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from types import FrameType

import structlog

from api.deadlines import Deadlines, SessionDeadline, read_deadlines
from api.foreign import ForeignWatch
from api.logs import configure_logs
from api.runtimes.choose import open_runtime
from api.runtimes.docker import DockerRuntime
from api.runtimes.protocol import Runtime, RuntimeUnavailable, StillRunning
from api.settings import WatchdogSettings
from api.starting import plain_exit
from api.steady import steady_clock
from api.watchdog_metrics import WatchdogMetrics
from api.worker_metrics import served
from quota.clock import Clock, SystemClock
from quota.observed import Observed

log = structlog.get_logger()

_AT_ONCE = 64


def overdue(some: Deadlines | None, now: datetime) -> tuple[SessionDeadline, ...]:
    """Return the sessions that are past their deadline."""
    if some is None:
        return ()
    return tuple(one for one in some.sessions if now >= one.deadline)


def overdue_without_books(
    some: Deadlines | None, started: Iterable[Observed], now: datetime
) -> tuple[SessionDeadline, ...]:
    """Return what an emergency let start, is in no file, and is past its own deadline."""
    named = frozenset() if some is None else frozenset(one.ref for one in some.sessions)
    return tuple(
        SessionDeadline(ref=one.ref, lease_id=str(one.lease_id), deadline=one.emergency_until)
        for one in started
        if one.ref not in named and one.emergency_until is not None and now >= one.emergency_until
    )


class Watchdog:
    """Looks at the file, and acts on the runtime."""

    def __init__(
        self, path: Path, runtime: Runtime, clock: Clock, *, grace_s: int,
        metrics: WatchdogMetrics,
    ) -> None:  # fmt: skip
        self._path = path
        self._runtime = runtime
        self._clock = clock
        self._grace_s = grace_s
        self._metrics = metrics
        self._last: Deadlines | None = None

    def look(self) -> int:
        """Stop what is overdue; return how many sessions were stopped."""
        try:
            found = read_deadlines(self._path)
        except (ValueError, OSError) as error:
            log.warning("deadlines_not_read", error=str(error))
        else:
            # A broken or missing note is no reason to let go of the last good one.
            self._last = found or self._last
        if self._last is not None:
            self._metrics.note_written(self._last.written_at)
        now = self._clock.now()
        late = overdue(self._last, now) + overdue_without_books(self._last, self._started(), now)
        if not late:
            return 0
        # Side by side: each may take its whole grace, and all of them are late already.
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return sum(pool.map(self._stop, late))

    def _started(self) -> list[Observed]:
        try:
            return self._runtime.started_without_books()
        except RuntimeUnavailable as error:
            # The file's own are stopped all the same.
            log.warning("runtime_not_seen", error=str(error)[:200])
            return []

    def _stop(self, one: SessionDeadline) -> bool:
        try:
            if not self._runtime.is_running(one.ref):
                return False
            log.error("session_outlived_deadline", lease=one.lease_id, alarm=True)
            self._end(one.ref)
        except (RuntimeUnavailable, StillRunning) as error:
            log.error("overdue_not_stopped", lease=one.lease_id, error=str(error),
                      alarm=True)  # fmt: skip
            return False
        log.info("session_stopped", lease=one.lease_id, how="watchdog")
        return True

    def _end(self, ref: str) -> None:
        try:
            self._runtime.stop(ref, self._grace_s)
        except StillRunning:
            self._runtime.kill(ref)


def main() -> None:
    """Watch until SIGTERM or SIGINT."""
    metrics = WatchdogMetrics()
    configure_logs("watchdog", on_alarm=metrics.count_alarm)
    with plain_exit():
        settings = WatchdogSettings()
        port, host = settings.watchdog_metrics_port, settings.watchdog_metrics_host
        with served_if_possible(metrics, port, host=host):
            watch(settings, metrics)


def watch(settings: WatchdogSettings, metrics: WatchdogMetrics) -> None:
    """Put a watchdog together and let it look."""
    runtime = open_runtime(settings.spawner, settings.state_dir, settings.hub_id)
    path = settings.state_dir / "deadlines.json"
    watchdog = Watchdog(path, runtime, steady_clock(), grace_s=settings.watch_grace_s,
                        metrics=metrics)  # fmt: skip
    stopped = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    log.info("watchdog_started", runtime=runtime.name)
    if settings.spawner == "docker":
        # Beside, so that nobody else's container that will not end holds up a deadline.
        threading.Thread(
            target=_watch_foreign, args=(settings, metrics, stopped), daemon=True
        ).start()
    while not stopped.wait(settings.watch_every_s):
        try:
            watchdog.look()
        except Exception:
            # It is the last line: whatever is wrong with one look, there is a next one.
            metrics.count_look("broken")
            log.exception("look_broken", alarm=True)
        else:
            metrics.count_look("done")


def _watch_foreign(
    settings: WatchdogSettings, metrics: WatchdogMetrics, stopped: threading.Event
) -> None:
    engine = DockerRuntime(settings.hub_id, SystemClock())
    foreign = ForeignWatch(engine, settings.foreign_gpus, grace_s=settings.watch_grace_s)
    while not stopped.wait(settings.watch_every_s):
        try:
            metrics.note_foreign(foreign.look())
        except RuntimeUnavailable as error:
            log.warning("neighbours_not_seen", error=str(error)[:200])
        except Exception:
            log.exception("look_broken", alarm=True)


@contextmanager
def served_if_possible(metrics: WatchdogMetrics, port: int, *, host: str) -> Iterator[None]:
    """Serve the metrics if the port can be had; the last line does not fall for a taken port."""
    with ExitStack() as serving:
        try:
            serving.enter_context(served(metrics, port, host=host))
        except OSError as error:
            log.error("metrics_not_served", port=port, error=str(error), alarm=True)
        yield


if __name__ == "__main__":
    main()
