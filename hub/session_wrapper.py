"""Keeps one session of the process runtime: starts it, passes signals on, records start and end.

Run as a program of its own by the spawner:

    python -I -S session_wrapper.py FOLDER COMMAND [ARGUMENT...]

FOLDER holds `wanted.json`, made by the spawner. The program returns as soon as the session has
started (exit status 0) or could not (1, with the reason on stderr); a keeper stays behind in the
background. It writes `start.json` before the session starts and `end.json` when all of it has
ended, each durably, so that the books can charge what really ran whoever else has crashed.

SIGTERM and SIGINT are passed on; SIGQUIT ends all of the session at once. If the keeper itself is
killed, the session dies with it. Only the standard library: the time that this takes to start
is added to every session's start. Linux only.
"""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_ASKED = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT}
_LOG_LIMIT_BYTES = 10 * 1024 * 1024
_LOOK_AT_LOG_S = 5.0
# What ignores SIGKILL for so long hangs in the kernel; nobody can do more about it.
_KILL_S = 10.0


def write_durably(path: Path, body: dict[str, Any]) -> None:
    """Write a file so that after any crash it is there whole, or not at all."""
    draft = path.with_suffix(".tmp")
    with draft.open("w") as handle:
        json.dump(body, handle)
        handle.flush()
        os.fsync(handle.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def boot_id() -> str:
    """Return what names this start of the machine: after another one, no process is left."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def start_ticks(pid: int) -> int | None:
    """Return when a process was made, in clock ticks since the boot; None when there is none.

    Together with the process id this names a process for good: ids are used again, and clocks
    are set. What has ended and is not reaped yet (a zombie) is none.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name, in parentheses, may hold anything; what follows has fixed places.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def main(arguments: Sequence[str]) -> int:
    """Start a session in the background; return when it has started or could not."""
    folder, command = Path(arguments[0]), list(arguments[1:])
    news, tell = os.pipe()
    if os.fork() > 0:
        os.close(tell)
        with os.fdopen(news) as handle:
            problem = handle.read()
        if problem == "started":
            return 0
        sys.stderr.write(problem or "the keeper of the session died at its start")
        return 1
    os.close(news)
    os.setsid()
    _write_to(folder / "session.log")
    try:
        code = _Keeper(folder, command).keep(tell)
    except BaseException as error:  # noqa: BLE001 - the reason must reach whoever waits for it
        # Where the session has started already nobody listens any more.
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        _tell(tell, f"{type(error).__name__}: {error}")
        sys.stderr.write(f"keeper: {type(error).__name__}: {error}\n")
        code = 1
    os._exit(code)


def _write_to(log: Path) -> None:
    """Let go of the hub's pipes: the session must outlive the hub."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    os.close(sink)


def _tell(pipe: int, text: str) -> None:
    try:
        os.write(pipe, text.encode())
        os.close(pipe)
    except OSError:
        pass  # told already, or nobody waits


class _Keeper:
    """The process that stays behind, parent of all that the session starts."""

    def __init__(self, folder: Path, command: list[str]) -> None:
        self._folder = folder
        self._command = command
        self._asked = ""
        self._status: int | None = None
        self._libc = ctypes.CDLL(None, use_errno=True)

    def keep(self, tell: int) -> int:
        """Run the session to its end; return its exit code."""
        # Whatever the session leaves behind becomes a child of this process, not of init.
        self._libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        signal.pthread_sigmask(signal.SIG_BLOCK, _ASKED | {signal.SIGCHLD})
        self._record_start()
        try:
            # Kept: as garbage it would collect the end of a child that is quick, unseen.
            self._server = subprocess.Popen(self._command, preexec_fn=self._before_exec)  # noqa: PLW1509
        except OSError as error:
            self._record_end(code=127, how="not started")
            _tell(tell, f"{self._command[0]}: {error.strerror}")
            return 127
        self._child = self._server.pid
        _tell(tell, "started")
        self._wait()
        self._end_rest()
        code = os.waitstatus_to_exitcode(self._status or 0)
        how = self._asked or ("exit" if code >= 0 else f"signal {-code}")
        code = code if code >= 0 else 128 - code
        self._record_end(code=code, how=how)
        return code

    def _before_exec(self) -> None:
        # In the child, between fork and exec: die with the keeper, and listen to signals again.
        keeper = os.getppid()
        self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != keeper:
            os._exit(1)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])

    # -- the records ----------------------------------------------------------------------

    def _record_start(self) -> None:
        pid = os.getpid()
        ticks = start_ticks(pid)
        assert ticks is not None, "this process runs"
        self._made_up_ms = ticks * 1000 // os.sysconf("SC_CLK_TCK")
        self._started_ms = time.clock_gettime_ns(time.CLOCK_REALTIME) // 1_000_000 - self._age_ms()
        wanted = json.loads((self._folder / "wanted.json").read_text())
        write_durably(
            self._folder / "start.json",
            {
                **wanted,
                "pid": pid,
                "start_ticks": ticks,
                "boot_id": boot_id(),
                "started_at_ms": self._started_ms,
            },
        )

    def _record_end(self, *, code: int, how: str) -> None:
        ended_ms = self._started_ms + self._age_ms()
        end = {"ended_at_ms": ended_ms, "exit_code": code, "how": how}
        write_durably(self._folder / "end.json", end)

    def _age_ms(self) -> int:
        # By the clock that nobody sets, so that no session ends before it started.
        up_ms = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
        return max(0, up_ms - self._made_up_ms)

    # -- while it runs ----------------------------------------------------------------------

    def _wait(self) -> None:
        """Pass signals on until the session's first process has ended."""
        waited = _ASKED | {signal.SIGCHLD}
        while not self._reap():
            news = signal.sigtimedwait(waited, _LOOK_AT_LOG_S)
            if news is not None and news.si_signo != signal.SIGCHLD:
                self._pass_on(news.si_signo)
            self._bound_log()

    def _pass_on(self, number: int) -> None:
        if number == signal.SIGQUIT:
            self._asked = "killed"
            _kill(self._child, signal.SIGKILL)
            return
        self._asked = self._asked or "stopped"
        _kill(self._child, signal.SIGTERM if number == signal.SIGHUP else number)

    def _reap(self) -> bool:
        """Collect what has ended; tell whether the session's first process has."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return True  # nothing is left to wait for
            if pid == 0:
                return self._status is not None
            if pid == self._child:
                self._status = status

    def _end_rest(self) -> None:
        """Kill what the session left behind, until nothing is left of it."""
        until = time.monotonic() + _KILL_S
        while time.monotonic() < until:
            rest = list(_descendants(os.getpid()))
            for pid in rest:
                _kill(pid, signal.SIGKILL)
            self._reap()
            if not rest:
                return
            time.sleep(0.01)

    def _bound_log(self) -> None:
        # The session writes to it in append mode, so an emptied file simply fills again.
        if os.fstat(1).st_size > _LOG_LIMIT_BYTES:
            os.ftruncate(1, 0)


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _descendants(ancestor: int) -> Iterator[int]:
    """Find children, their children, and so on, of a process."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            pid = int(entry.name)
            children.setdefault(_parent(pid), []).append(pid)
    todo = children.get(ancestor, [])
    while todo:
        pid = todo.pop()
        yield pid
        todo += children.get(pid, [])


def _parent(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
