"""Ending all sessions when the lab of one machine is stopped."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from api.runtimes.protocol import Runtime, RuntimeUnavailable, StillRunning

_AT_ONCE = 16
_LOOK_EVERY_S = 0.2


def end_sessions(runtime: Runtime, *, grace_s: int) -> tuple[int, int]:
    """Stop whatever runs; return how many were ended and how many still run."""
    try:
        refs = [one.ref for one in runtime.observe() if one.finished_at is None]
    except RuntimeUnavailable:
        return 0, 0
    if not refs:
        return 0, 0
    with ThreadPoolExecutor(min(_AT_ONCE, len(refs))) as pool:
        ended = list(pool.map(lambda ref: _end(runtime, ref, grace_s), refs))
    return sum(ended), len(ended) - sum(ended)


def wait_posted(runtime: Runtime, *, limit_s: float, is_worker_alive: Callable[[], bool]) -> bool:
    """Wait until the worker has charged and removed what ended; the next start does the rest."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until and is_worker_alive():
        try:
            if not runtime.observe():
                return True
        except RuntimeUnavailable:
            return False
        time.sleep(_LOOK_EVERY_S)
    return False


def _end(runtime: Runtime, ref: str, grace_s: int) -> bool:
    try:
        try:
            runtime.stop(ref, grace_s)
        except StillRunning:
            runtime.kill(ref)
    except (RuntimeUnavailable, StillRunning):
        return False
    return True
