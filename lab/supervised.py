"""supervisord and what it keeps alive: start it, ask it, end it."""

import ctypes
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from lab.errors import CannotStart
from lab.state import State

# The address of a unix socket has at most 107 bytes, and supervisord binds to the name with its
# process id added first.
_LONGEST_SOCKET = 95
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramState:
    """A program as supervisord sees it; pid 0 means that it does not run."""

    name: str
    state: str
    pid: int


def socket_path(state: State, name: str = "supervisor") -> Path:
    """Choose where a program listens: in the state folder, unless its name is too long."""
    path = state.root / f"{name}.sock"
    if len(os.fsencode(path)) <= _LONGEST_SOCKET:
        return path
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"gpulab-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    owned = folder.lstat()
    if folder.is_symlink() or owned.st_uid != os.getuid() or owned.st_mode & 0o077:
        raise CannotStart(f"{folder} belongs to somebody else; choose a shorter --state-dir")
    return folder / f"{digest}.sock"


class Supervisor:
    """A running supervisord."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def programs(self) -> tuple[ProgramState, ...]:
        """List the programs.

        Raises:
            OSError: supervisord does not answer.

        """
        infos: Any = self._call("getAllProcessInfo")
        return tuple(
            ProgramState(name=one["name"], state=one["statename"], pid=one["pid"]) for one in infos
        )

    def stop(self, name: str) -> None:
        """Stop one program and keep it stopped; one that is stopped already is fine."""
        self._quietly("stopProcess", name)

    def start(self, name: str) -> None:
        """Start one program; one that runs already is fine."""
        self._quietly("startProcess", name)

    def _quietly(self, method: str, name: str) -> None:
        try:
            self._call(method, name)
        except Fault as fault:
            if not fault.faultString.startswith(("NOT_RUNNING", "ALREADY_STARTED")):
                raise

    def _call(self, method: str, *arguments: str) -> Any:
        # A connection for each call: it may be another supervisord by now.
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        with ServerProxy("http://127.0.0.1", transport=transport) as server:
            return getattr(server.supervisor, method)(*arguments)


def start_supervisor(state: State, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start supervisord as a child that ends when this process does, however it does."""
    command = [sys.executable, "-P", "-m", "supervisor.supervisord",
               "-c", str(state.supervisor_config)]  # fmt: skip
    with (state.logs / "supervisord.err").open("wb") as words:
        return subprocess.Popen(
            command,
            env=dict(environment),
            cwd=state.root,
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            # Ctrl-C on the terminal goes to the launcher alone, which stops things in order.
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - the launcher has one thread here
        )


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
