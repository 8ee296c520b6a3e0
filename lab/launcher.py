"""`make lab`: start everything, stay there, and stop everything again."""

import os
import signal
import subprocess
import threading
import time
from types import FrameType

import psutil

from api.runtimes.choose import open_runtime
from api.runtimes.protocol import Runtime
from lab.errors import CannotStart
from lab.leftovers import end_leftovers
from lab.preparation import Prepared, prepare_lab
from lab.ready import lab_probes, wait_ready
from lab.report import ready_text
from lab.sessions import end_sessions, wait_posted
from lab.settings import LabSettings
from lab.state import State, prepare, sole_launcher
from lab.supervised import Supervisor, socket_path, start_supervisor
from quota.lab_file import LabFileError, load_lab

# Longest that the worker needs to charge what ended: a look at the runtime and one transaction
# for each session, or a tick when it missed the event.
_POST_S = 20.0
# supervisord gives its slowest program 30 s.
_SUPERVISOR_S = 45.0
# A supervisor that again and again lives shorter than this is not killed from outside, but broken.
_SHORT_LIFE_S = 10.0
_MOST_SHORT_LIVES = 2


def tell(text: str) -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)  # noqa: T201 - this is what the launcher is there for


def run(settings: LabSettings) -> None:
    """Run the lab until it is asked to stop.

    Raises:
        CannotStart: with the reason.

    """
    try:
        lab = load_lab(settings.lab_file)
    except LabFileError as error:
        raise CannotStart(f"the lab file cannot be used, nothing was started.\n{error}") from error
    # Whatever is written from here on is its owner's only.
    os.umask(0o077)
    state = prepare(settings.state_dir)
    with sole_launcher(state):
        if count := end_leftovers(state.root):
            tell(f"Cleaned up after a lab that was killed ({count} programs); sessions go on.")
        prepared = prepare_lab(settings, state, lab, tell)
        _Launcher(prepared).run()


class _Launcher:
    """Holds what has to be ended, from the first program on."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self._state: State = prepared.state
        self._supervisor = Supervisor(socket_path(prepared.state))
        self._process: subprocess.Popen[bytes] | None = None
        self._asked_to_stop = threading.Event()

    def run(self) -> None:
        """Start, wait for the signal, stop; stops too when the start fails."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        try:
            if self._start():
                self._announce()
                self._stay()
        finally:
            self._stop()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._asked_to_stop.set()

    def _start(self) -> bool:
        """Start all programs and wait for them; False when asked to stop meanwhile."""
        prepared = self._prepared
        began = time.monotonic()
        tell("Starting the lab's programs")
        probes = lab_probes(prepared.settings, self._state, prepared.environment)
        self._process = start_supervisor(self._state, prepared.environment)
        return wait_ready(
            probes, self._supervisor, self._state.logs, given_up=self._given_up,
            tell=lambda name: tell(f"  {name} is ready ({time.monotonic() - began:.1f} s)"),
        )  # fmt: skip

    def _given_up(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            words = (self._state.logs / "supervisord.err").read_text(errors="replace").strip()
            raise CannotStart(f"the supervisor ended at once: {words or 'it did not say why'}")
        return self._asked_to_stop.is_set()

    def _announce(self) -> None:
        one = self._prepared
        tell(
            ready_text(one.settings, one.state, one.choice, one.devices, why_gpus=one.why_gpus,
                       accounts=one.accounts, shortcomings=one.shortcomings)
        )  # fmt: skip

    def _stay(self) -> None:
        """Watch the supervisor, which watches everything else."""
        began, short_lives = time.monotonic(), 0
        while not self._asked_to_stop.wait(0.5):
            if self._process is None or self._process.poll() is None:
                continue
            short_lives = short_lives + 1 if time.monotonic() - began < _SHORT_LIFE_S else 0
            if short_lives > _MOST_SHORT_LIVES:
                raise CannotStart(f"the supervisor keeps ending; see {self._state.logs}")
            tell("The supervisor was killed; starting it and its programs again. Sessions go on.")
            end_leftovers(self._state.root)
            self._start()
            began = time.monotonic()

    def _stop(self) -> None:
        """Close the door, end the sessions, let the worker charge them, end the programs."""
        if self._process is None:
            return
        tell("\nStopping the lab")
        self._close_door()
        self._end_sessions()
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(_SUPERVISOR_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        end_leftovers(self._state.root, patience_s=5)
        tell("The lab has stopped.")

    def _close_door(self) -> None:
        """Nobody can start a session from here on."""
        for name in ("proxy", "hub"):
            try:
                self._supervisor.stop(name)
            except OSError:
                return

    def _end_sessions(self) -> None:
        one = self._prepared
        runtime = open_runtime(one.choice.spawner, self._state.root, one.settings.hub_id)
        ended, left = end_sessions(runtime, grace_s=one.lab.policy.grace_s)
        if ended:
            tell(f"  {_count(ended)} ended")
        if left:
            tell(f"  {_count(left)} could not be ended; the watchdog of the next start will")
        if ended and not self._posted(runtime):
            tell("  what they used is charged at the next start")

    def _posted(self, runtime: Runtime) -> bool:
        return wait_posted(runtime, limit_s=_POST_S, is_worker_alive=self._is_worker_alive)

    def _is_worker_alive(self) -> bool:
        try:
            programs = self._supervisor.programs()
        except OSError:
            return False
        return any(one.name == "worker" and psutil.pid_exists(one.pid) for one in programs)


def _count(sessions: int) -> str:
    return "1 session" if sessions == 1 else f"{sessions} sessions"
