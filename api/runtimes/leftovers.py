"""Find and end what a process session left behind when its keeper was killed."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_MARK = "GPULAB_LEASE"


def kill_leftovers(ref: str, *, within_s: float) -> bool:
    """Kill every process that was started with a session's mark; tell whether all are gone.

    The kernel kills a session's first process with its keeper; notebooks' kernels and what they
    started run on. All of them were given the session's name in their environment. A process
    that wiped its environment before it started others escapes this: the process runtime does
    not isolate anything.
    """
    until = time.monotonic() + within_s
    while marked := list(_marked(ref)):
        for pid in marked:
            _kill(pid, ref)
        if time.monotonic() >= until:
            return False
        time.sleep(0.02)
    return True


def _marked(ref: str) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid() and _carries(entry, ref):
            yield int(entry.name)


def _carries(process: Path, ref: str) -> bool:
    try:
        # Empty for what has ended and waits to be reaped.
        return f"{_MARK}={ref}".encode() in (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _kill(pid: int, ref: str) -> None:
    with suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            # Looked at again, now that the id cannot come to mean another process.
            if _carries(Path(f"/proc/{pid}"), ref):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        finally:
            os.close(handle)
