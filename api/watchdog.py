"""The last line: a second, tiny process that stops what has outlived its deadline.

It knows only the worker's file and the runtime; it works when worker, service, hub and database
are all dead. While the worker lives it has nothing to do, since deadlines move on at every tick.
"""

import signal
import threading
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Literal

import structlog
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from api.deadlines import Deadlines, SessionDeadline, read_deadlines
from api.runtimes.choose import open_runtime
from api.runtimes.protocol import Runtime, RuntimeUnavailable, StillRunning
from quota.clock import Clock, SystemClock

log = structlog.get_logger()


class WatchdogSettings(BaseSettings):
    """Where the file is and what the sessions run in."""

    model_config = SettingsConfigDict(env_prefix="GPULAB_", frozen=True, extra="ignore")

    state_dir: Path = Field(description="The lab's state folder.")
    spawner: Literal["process", "docker"] = Field(description="What the sessions run in.")
    hub_id: str = Field(default="main", description="Whose sessions.")
    watch_every_s: float = Field(default=5.0, ge=0.1, le=60, description="How often to look.")
    watch_grace_s: int = Field(default=20, ge=0, le=600, description="Time to stop by itself.")


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
            self._last = read_deadlines(self._path)
        except (ValueError, OSError) as error:
            # A broken note is no reason to let go of the last good one.
            log.warning("deadlines_not_read", error=str(error)[:200])
        return sum(self._stop(one) for one in overdue(self._last, self._clock.now()))

    def _stop(self, one: SessionDeadline) -> bool:
        try:
            if not self._runtime.is_running(one.ref):
                return False
            log.error("session_outlived_deadline", lease=one.lease_id, alarm=True)
            self._end(one.ref)
        except (RuntimeUnavailable, StillRunning) as error:
            log.error("overdue_not_stopped", lease=one.lease_id, error=str(error)[:200],
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
    settings = WatchdogSettings()
    runtime = open_runtime(settings.spawner, settings.state_dir, settings.hub_id)
    path = settings.state_dir / "deadlines.json"
    watchdog = Watchdog(path, runtime, SystemClock(), grace_s=settings.watch_grace_s)
    stopped = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    log.info("watchdog_started", runtime=runtime.name)
    while not stopped.wait(settings.watch_every_s):
        watchdog.look()
