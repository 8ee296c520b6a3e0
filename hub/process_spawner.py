"""Sessions as local processes, for trying the lab out: not isolated from each other."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from jupyterhub.spawner import Spawner
from jupyterhub.utils import random_port
from traitlets import Float, Unicode, default

from hub import session_wrapper
from hub.attentive import Attentive, Unseen
from hub.leased import Leased
from hub.names import safe_name
from hub.refusals import Refused

# What the base image has as a wheel; sessions as processes take it from the project's folder.
SESSION_PART = Path(__file__).parents[1] / "images" / "labextension"
_LOOK_EVERY_S = 0.1
# How long the keeper gets to kill its session before it is killed itself.
_KILL_S = 3.0
_LOG_TAIL_BYTES = 1000


class ProcessSpawner(Attentive, Leased, Spawner):
    """Each server is a process tree under a keeper that records its start and end durably.

    The session outlives the hub. Its folder is deleted by the worker, after its end is in the
    books.
    """

    state_dir = Unicode("", help="The lab's state folder: sessions and homes are in it.").tag(
        config=True
    )
    stop_grace_s = Float(10.0, help="How long a session gets to stop by itself.").tag(config=True)
    ref = Unicode("", help="The name of the session's folder; the lease id.")

    @property
    def home(self) -> Path:
        """The folder of the scholar's own files."""
        return Path(self.state_dir) / "homes" / safe_name(self.user.name)

    @property
    def folder(self) -> Path:
        """The folder of the session's records."""
        return Path(self.state_dir) / "sessions" / str(self.ref)

    # -- state ------------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """Return what the hub saves of a running server."""
        state = super().get_state()
        return {**state, "ref": self.ref} if self.ref else state

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what the hub saved."""
        super().load_state(state)
        # Saved only after the start; a hub that died before that has the lease id all the same.
        self.ref = state.get("ref", "") or self.lease_id

    def clear_state(self) -> None:
        """Forget the session."""
        super().clear_state()
        self.ref = ""

    @default("env_keep")
    def _env_keep_default(self) -> list[str]:
        # The session runs the lab's own installation; of the machine it needs no more than this.
        return ["PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "JUPYTERHUB_SINGLEUSER_APP"]

    # -- start, look, stop ----------------------------------------------------------------------

    def get_env(self) -> dict[str, str]:
        """Return the session's whole environment: nothing of the hub's own but `env_keep`."""
        env: dict[str, str] = super().get_env()
        gpu = self.real_gpu()
        env |= {
            "HOME": str(self.home),
            "SHELL": "/bin/bash",
            "JUPYTERHUB_ROOT_DIR": str(self.home),
            "NVIDIA_VISIBLE_DEVICES": gpu or "void",
            "CUDA_VISIBLE_DEVICES": gpu,
        }
        # By the lease the runtime finds what outlives a killed keeper.
        return env | self.lab_variables() | _session_part() | self.gpu_advice()

    def get_args(self) -> list[str]:
        """Return the server's arguments."""
        args: list[str] = list(super().get_args())
        if os.geteuid() == 0 and "--allow-root" not in args:
            # A lab that is tried out as root has sessions of root; jupyter asks to confirm that.
            args.append("--allow-root")
        return args

    async def start(self) -> tuple[str, int]:
        """Start the session; return where it listens.

        Raises:
            Refused: it could not be started.

        """
        self.ref = self.sure_lease_id()
        self.ip, self.port = "127.0.0.1", random_port()
        try:
            self._prepare_folders()
            starting = asyncio.ensure_future(self._start_keeper())
            await asyncio.shield(starting)
        except OSError as error:
            self.log.error("session %s: %s", self.ref, error)
            raise _could_not_start(error.strerror or type(error).__name__) from error
        except asyncio.CancelledError:
            # Whoever cancels a start does not stop what it starts a moment later.
            with contextlib.suppress(Refused, OSError):
                await starting
            await self.stop(now=True)
            raise
        return self.ip, self.port

    def _prepare_folders(self) -> None:
        for folder in (self.home.parent, self.home, self.folder.parent):
            folder.mkdir(mode=0o700, exist_ok=True)
        self.folder.mkdir(mode=0o700)
        wanted = {
            "ref": self.ref,
            "lease_id": self.lease_id,
            "hub_id": self.hub_id,
            "account": self.user.name,
            "server_name": self.name,
            "flavor": self.flavor_name,
            "port": self.port,
        }
        (self.folder / "wanted.json").write_text(json.dumps(wanted))

    async def _start_keeper(self) -> None:
        command = [*self.cmd, *self.get_args()]
        # Isolated and without site packages: it needs neither, and starts in half the time.
        keeper = [sys.executable, "-I", "-S", session_wrapper.__file__, str(self.folder)]
        process = await asyncio.create_subprocess_exec(
            *keeper, *command, env=self.get_env(), cwd=self.home,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, problem = await process.communicate()
        if process.returncode != 0:
            text = problem.decode(errors="replace").strip()
            self.log.error("session %s: %s", self.ref, text)
            raise _could_not_start(text[-200:])

    async def get_url(self) -> str:
        """Return where a session listens that a restarted hub has found running."""
        port = self._record("wanted.json").get("port")
        url: str = self.server.url
        return f"http://127.0.0.1:{port}{self.server.base_url}" if port else url

    async def look(self) -> int | None:
        """Tell by the records and the process table whether the session runs."""
        if not self.ref:
            return 0
        start = self._record("start.json")
        if not start:
            return 0
        if _is_alive(start) and not (self.folder / "end.json").exists():
            return None
        end = self._record("end.json")
        code = int(end.get("exit_code", 1))
        if end.get("how") == "exit" and code != 0 and self._last_seen is None:
            # Its folder is deleted soon. Scholars may write to it: shown as what it is, in part.
            self.log.warning("session %s ended with %d: %r", self.ref, code, self._log_tail())
        return code

    async def stop(self, now: bool = False) -> None:
        """Ask the session to end, then make it."""
        grace_s = 0.0 if now else self.stop_grace_s
        for number, wait_s in (
            (signal.SIGTERM, grace_s), (signal.SIGQUIT, _KILL_S), (signal.SIGKILL, _KILL_S),
        ):  # fmt: skip
            if not self._signal(number) or await self._is_gone(wait_s):
                return
        raise RuntimeError(f"session {self.ref} survives SIGKILL")

    # -- the keeper -----------------------------------------------------------------------------

    def _signal(self, number: int) -> bool:
        """Send the keeper a signal; False when it is gone."""
        start = self._record("start.json") if self.ref else {}
        if not start:
            return False
        try:
            handle = os.pidfd_open(int(start["pid"]))
        except ProcessLookupError:
            return False
        try:
            # Looked at after the handle is there, which cannot come to mean another process.
            if not _is_alive(start):
                return False
            signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)
        return True

    async def _is_gone(self, wait_s: float) -> bool:
        until = asyncio.get_running_loop().time() + wait_s
        while _is_alive(self._record("start.json")):
            if asyncio.get_running_loop().time() >= until:
                return False
            await asyncio.sleep(_LOOK_EVERY_S)
        return True

    def _record(self, name: str) -> dict[str, Any]:
        """Read one of the session's records; empty when it is not there."""
        try:
            body = json.loads((self.folder / name).read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise Unseen(f"{name} of session {self.ref}: {error}") from error
        return body if isinstance(body, dict) else {}

    def _log_tail(self) -> str:
        try:
            data = (self.folder / "session.log").read_bytes()
        except OSError:
            return ""
        return data[-_LOG_TAIL_BYTES:].decode(errors="replace")


def _session_part() -> dict[str, str]:
    """Return what makes the server load its part of the lab; images have it inside."""
    if not SESSION_PART.is_dir():
        # Installed without the project's folder: then nobody can attach to these sessions.
        return {}
    return {
        "PYTHONPATH": str(SESSION_PART),
        "JUPYTER_CONFIG_PATH": str(SESSION_PART / "jupyter-config"),
        # The browser's part, where it is built (scripts/build-labextension.sh).
        "JUPYTER_PATH": str(SESSION_PART / "built"),
    }


def _is_alive(start: dict[str, Any]) -> bool:
    """Tell whether the very process runs that a record names: ids are used again."""
    if not start or start.get("boot_id") != session_wrapper.boot_id():
        return False
    ticks = session_wrapper.start_ticks(int(start["pid"]))
    return ticks is not None and ticks == start["start_ticks"]


def _could_not_start(why: str) -> Refused:
    sentence = f"The session could not start on this machine: {why}. Tell an organizer."
    return Refused(sentence, reason="process", status_code=503)
