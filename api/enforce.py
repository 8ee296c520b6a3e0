"""Ending a session for sure: through the hub, then at the runtime, then an alarm.

The hub's answer is no proof (it says 202 and may never stop anything); only the runtime's word
counts.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from uuid import UUID

import structlog

from api.runtimes.protocol import Runtime, RuntimeUnavailable, StillRunning
from quota.failpoints import failpoint
from quota.reconcile import StopOrder

log = structlog.get_logger()

# Where a blackout begins all sessions end together, and each may take the hub's time, its grace
# and a kill: nobody may have to wait for a second round, which would come too late.
_AT_ONCE = 64
_LOOK_EVERY_S = 0.25

# Here the hub holds the session for ended, or never knew it. Under the same name it may be
# starting another one by now, and a stop would hit that.
_HUB_HAS_NO_PART = frozenset({
    "person", "left_line", "spawn_failed", "server_gone", "orphan", "not_admitted",
    "never_started",
})  # fmt: skip


class Enforcer:
    """Carries out stop orders side by side; an order in progress is not begun again."""

    def __init__(
        self,
        runtime: Runtime,
        stop_server: Callable[[str, str], bool],
        *,
        hub_budget_s: float,
        grace_s: int,
        on_gone: Callable[[], None],
    ) -> None:
        self._runtime = runtime
        self._stop_server = stop_server
        self._hub_budget_s = hub_budget_s
        self.grace_s = grace_s
        self._on_gone = on_gone
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="stop")
        self._busy: dict[UUID, Future[None]] = {}

    def carry_out(self, orders: list[StopOrder]) -> None:
        """Begin what is not in progress yet."""
        self._busy = {key: done for key, done in self._busy.items() if not done.done()}
        for order in orders:
            if order.lease_id not in self._busy:
                self._busy[order.lease_id] = self._pool.submit(self._end_safely, order)

    def close(self) -> None:
        """Wait for what is in progress."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _end_safely(self, order: StopOrder) -> None:
        try:
            self._end(order)
        except Exception:
            # Nobody reads the future; the next tick orders the stop again.
            log.exception("stop_broken", lease=str(order.lease_id), alarm=True)

    def _end(self, order: StopOrder) -> None:
        began = time.monotonic()
        how = self._try_to_end(order)
        took_s = round(time.monotonic() - began, 3)
        if how is None:
            log.error("session_not_stopped", lease=str(order.lease_id), reason=order.reason,
                      took_s=took_s, alarm=True)  # fmt: skip
            return
        log.info("session_stopped", lease=str(order.lease_id), reason=order.reason, how=how,
                 took_s=took_s)  # fmt: skip
        self._on_gone()

    def _try_to_end(self, order: StopOrder) -> str | None:
        """Return by which path it ended, or None when it did not."""
        if self._end_by_hub(order):
            return "hub"
        steps: tuple[tuple[str, Callable[[], None]], ...] = (
            ("runtime", lambda: self._runtime.stop(order.ref, self.grace_s)),
            ("kill", lambda: self._runtime.kill(order.ref)),
        )
        for how, step in steps:
            try:
                step()
                failpoint("session_ended")
            except (RuntimeUnavailable, StillRunning) as error:
                log.warning("stop_step_failed", lease=str(order.lease_id), step=how,
                            error=str(error))  # fmt: skip
            else:
                return how
        return None

    def _end_by_hub(self, order: StopOrder) -> bool:
        """Give the hub its chance, so that its pages tell the truth at once."""
        if order.reason in _HUB_HAS_NO_PART:
            return False
        until = time.monotonic() + self._hub_budget_s
        if not self._stop_server(order.account, order.server_name):
            return False
        failpoint("hub_asked")
        while time.monotonic() < until:
            if not self._is_running(order.ref):
                return True
            time.sleep(_LOOK_EVERY_S)
        # It said yes, or nothing; perhaps it hangs, or waits for a proxy that is dead.
        log.error("hub_did_not_stop", lease=str(order.lease_id), waited_s=self._hub_budget_s,
                  alarm=True)  # fmt: skip
        return False

    def _is_running(self, ref: str) -> bool:
        try:
            return self._runtime.is_running(ref)
        except RuntimeUnavailable:
            return True
