"""What a lab that was killed has left running: found by its environment, and ended.

Sessions are no leftovers: they go on, and the new lab takes them over.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import psutil

# The programs get this long to end by themselves; supervisord gives the worker 30 s.
_PATIENCE_S = 35.0


def leftovers(state_dir: Path) -> list[psutil.Process]:
    """Find the programs of a lab with this state folder."""
    return list(_ours(str(state_dir)))


def end_leftovers(state_dir: Path, *, patience_s: float = _PATIENCE_S) -> int:
    """End them, supervisord first, and return how many there were."""
    found = leftovers(state_dir)
    supervisors = [one for one in found if _program(one) == "supervisor"]
    for process in supervisors or found:
        _signal(process, kill=False)
    _gone, alive = psutil.wait_procs(found, timeout=patience_s)
    # By now supervisord may have started something anew, too.
    for process in {*alive, *leftovers(state_dir)}:
        _signal(process, kill=True)
    psutil.wait_procs(alive, timeout=5)
    return len(found)


def _ours(state_dir: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if process.pid == os.getpid() or process.uids().real != os.getuid():
                continue
            told = process.environ()
        except (psutil.Error, OSError):
            continue
        if told.get("GPULAB_STATE_DIR") == state_dir and "GPULAB_PROGRAM" in told:
            yield process


def _program(process: psutil.Process) -> str:
    try:
        return process.environ().get("GPULAB_PROGRAM", "")
    except (psutil.Error, OSError):
        return ""


def _signal(process: psutil.Process, *, kill: bool) -> None:
    try:
        if kill:
            process.kill()
        else:
            process.terminate()
    except psutil.NoSuchProcess:
        return
