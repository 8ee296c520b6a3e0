"""The last line: a second, tiny process that stops what has outlived its deadline.

It knows only the worker's file and the runtime; it works when worker, service, hub and database
are all dead. While the worker lives it has nothing to do, since deadlines move on at every tick.
"""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from types import FrameType

import structlog

from api.deadlines import Deadlines, SessionDeadline, read_deadlines
from api.logs import configure_logs
from api.runtimes.choose import open_runtime
from api.runtimes.protocol import Runtime, RuntimeUnavailable, StillRunning
from api.settings import WatchdogSettings
from api.starting import plain_exit
from api.steady import steady_clock
from quota.clock import Clock

log = structlog.get_logger()

_AT_ONCE = 16


def overdue(some: Deadlines | None, now: datetime) -> tuple[SessionDeadline, ...]:
    """Return the sessions that are past their deadline."""
    if some is None:
        return ()
    return tuple(one for one in some.sessions if now >= one.deadline)


class Watchdog:
    """Looks at the file, and acts on the runtime."""

    def __init__(self, path: Path, runtime: Runtime, clock: Clock, *, grace_s: int) -> None:
        self._path = path
        self._runtime = runtime
        self._clock = clock
        self._grace_s = grace_s
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
        late = overdue(self._last, self._clock.now())
        if not late:
            return 0
        # Side by side: each may take its whole grace, and all of them are late already.
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return sum(pool.map(self._stop, late))

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
    configure_logs("watchdog")
    with plain_exit():
        watch(WatchdogSettings())


def watch(settings: WatchdogSettings) -> None:
    """Put a watchdog together and let it look."""
    runtime = open_runtime(settings.spawner, settings.state_dir, settings.hub_id)
    path = settings.state_dir / "deadlines.json"
    watchdog = Watchdog(path, runtime, steady_clock(), grace_s=settings.watch_grace_s)
    stopped = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    log.info("watchdog_started", runtime=runtime.name)
    while not stopped.wait(settings.watch_every_s):
        try:
            watchdog.look()
        except Exception:
            # It is the last line: whatever is wrong with one look, there is a next one.
            log.exception("look_broken", alarm=True)


if __name__ == "__main__":
    main()
