"""The clock of the long-running processes: steady, and it says so when the machine's jumps."""

import structlog

from quota.clock import SteadyClock

log = structlog.get_logger()


def steady_clock() -> SteadyClock:
    """Open a clock that does not follow a jump at once (promise P11)."""
    return SteadyClock(on_jump=_tell)


def _tell(by_s: float) -> None:
    log.error("clock_jumped", by_s=round(by_s, 1), alarm=True)
