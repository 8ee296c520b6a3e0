"""Sessions as local process trees: read from the records that their keepers leave.

For trying the lab out on one machine. Nothing isolates these sessions from each other.
"""

import os
import select
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import structlog

from api.runtimes.leftovers import kill_leftovers
from api.runtimes.protocol import RuntimeUnavailable, StillRunning
from api.runtimes.records import (
    BadRecord,
    Ended,
    Started,
    boot_id,
    open_keeper,
    read_end,
    read_start,
    start_ticks,
)
from quota.observed import Observed

log = structlog.get_logger()

_LOOK_EVERY_S = 0.5
# How long a keeper gets to kill its session and write the end down, before it is killed too.
_KILL_S = 3.0
# Folders of sessions that vanished without a word are kept until the worker has surely seen that.
_KEEP_LOST_S = 600.0
# One that has no start by then never will have.
_KEEP_UNSTARTED_S = 3600.0


class ProcessRuntime:
    """The sessions below one folder, of one hub."""

    name = "process"

    def __init__(
        self, sessions_dir: Path, hub_id: str, *, keep_lost_s: float = _KEEP_LOST_S
    ) -> None:
        self._dir = sessions_dir
        self._hub_id = hub_id
        self._keep_lost_s = keep_lost_s
        self._starts: dict[str, Started] = {}
        self._idle_since: dict[str, float] = {}
        self._complained: set[str] = set()
        self._last_view: frozenset[tuple[str, bool]] | None = None

    def observe(self) -> list[Observed]:
        """Return what runs and what has ended; what vanished without a word is left out."""
        folders = self._folders()
        seen = [one for folder in folders if (one := self._observe_one(folder)) is not None]
        self._forget({folder.name for folder in folders})
        return seen

    def started_without_books(self) -> list[Observed]:
        """Return the running sessions that an emergency let start."""
        found = []
        for folder in self._folders():
            try:
                start = self._start(folder.name)
            except BadRecord:
                continue  # the worker complains of it
            if start is None or start.hub_id != self._hub_id or start.emergency_until is None:
                continue
            if self.is_running(folder.name):
                found.append(_observed(start, None))
        return found

    def is_running(self, ref: str) -> bool:
        """Tell whether the session's keeper lives and has not written its end."""
        start = self._sure_start(ref)
        return start is not None and _is_alive(start) and self._end(ref) is None

    def stop(self, ref: str, grace_s: int) -> None:
        """Ask the session to end; its keeper kills what is left when the server is gone."""
        self._signal_and_wait(ref, signal.SIGTERM, grace_s)

    def kill(self, ref: str) -> None:
        """End the session without asking: through its keeper, else all that carries its mark."""
        with suppress(StillRunning):
            self._signal_and_wait(ref, signal.SIGQUIT, _KILL_S)
        self._signal_and_wait(ref, signal.SIGKILL, _KILL_S)
        if self._sure_start(ref) is not None and not kill_leftovers(ref, within_s=_KILL_S):
            raise StillRunning(f"processes of session {ref} survive SIGKILL")

    def remove(self, ref: str) -> None:
        """Delete the records of a session that has ended."""
        if self.is_running(ref):
            raise StillRunning(f"session {ref} runs, so its records stay")
        folder = self._dir / _plain(ref)
        # First, so that a deletion cut short leaves nothing that looks like a session.
        (folder / "start.json").unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        self._starts.pop(ref, None)

    def wait_event(self, timeout_s: float) -> bool:
        """Compare what runs with the last look, twice a second."""
        until = time.monotonic() + timeout_s
        while True:
            view = frozenset(self._state_of(folder) for folder in self._folders())
            before, self._last_view = self._last_view, view
            if before is not None and before != view:
                return True
            left_s = until - time.monotonic()
            if left_s <= 0:
                return False
            time.sleep(min(_LOOK_EVERY_S, left_s))

    # -- one session ------------------------------------------------------------------------

    def _state_of(self, folder: Path) -> tuple[str, bool]:
        try:
            return folder.name, self.is_running(folder.name)
        except RuntimeUnavailable:
            return folder.name, False

    def _observe_one(self, folder: Path) -> Observed | None:
        try:
            start = self._start(folder.name)
            end = read_end(folder)
        except BadRecord as error:
            # One broken record must not hide all other sessions.
            self._complain(folder.name, str(error))
            start, end = self._starts.get(folder.name), None
        if start is None:
            self._tidy_unstarted(folder)
            return None
        if start.hub_id != self._hub_id:
            return None
        if end is None and not _is_alive(start):
            # It may have ended in between, with a word.
            end = self._end(folder.name)
            if end is None:
                self._tidy_lost(folder, start)
                return None
        return _observed(start, end)

    def _start(self, ref: str) -> Started | None:
        """Return the start of a session; it never changes, so it is read once."""
        if ref not in self._starts:
            start = read_start(self._dir / _plain(ref))
            if start is None:
                return None
            self._starts[ref] = start
        return self._starts[ref]

    def _sure_start(self, ref: str) -> Started | None:
        try:
            return self._start(ref)
        except BadRecord as error:
            raise RuntimeUnavailable(str(error)) from error

    def _end(self, ref: str) -> Ended | None:
        try:
            return read_end(self._dir / ref)
        except BadRecord as error:
            self._complain(ref, str(error))
            return None

    def _signal_and_wait(self, ref: str, number: int, wait_s: float) -> None:
        start = self._sure_start(ref)
        handle = None if start is None else open_keeper(start)
        if handle is None:
            return
        try:
            signal.pidfd_send_signal(handle, number)
            if not select.select([handle], [], [], wait_s)[0]:
                raise StillRunning(f"session {ref} still runs {wait_s:g} s after signal {number}")
        except ProcessLookupError:
            return
        finally:
            os.close(handle)

    # -- the folder -----------------------------------------------------------------------------

    def _folders(self) -> list[Path]:
        try:
            return sorted(one for one in self._dir.iterdir() if one.is_dir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise RuntimeUnavailable(f"the records of sessions: {error}") from error

    def _tidy_lost(self, folder: Path, start: Started) -> None:
        """End what is left of a session whose keeper was killed; delete its records later."""
        ref = folder.name
        if ref not in self._idle_since:
            log.warning("session_vanished", ref=ref, account=start.account, alarm=True)
            if start.boot_id == boot_id():
                kill_leftovers(ref, within_s=_KILL_S)
        if self._idle_s(ref) >= self._keep_lost_s:
            self.remove(ref)

    def _tidy_unstarted(self, folder: Path) -> None:
        if self._idle_s(folder.name) >= _KEEP_UNSTARTED_S:
            shutil.rmtree(folder, ignore_errors=True)

    def _idle_s(self, ref: str) -> float:
        """Return for how long nothing has been behind a folder, as far as this process saw."""
        now = time.monotonic()
        return now - self._idle_since.setdefault(ref, now)

    def _complain(self, ref: str, problem: str) -> None:
        if ref not in self._complained:
            self._complained.add(ref)
            log.error("session_record_unreadable", ref=ref, problem=problem[:200], alarm=True)

    def _forget(self, present: set[str]) -> None:
        for known in (self._starts, self._idle_since):
            for ref in set(known) - present:
                known.pop(ref, None)
        self._complained &= present


def _observed(start: Started, end: Ended | None) -> Observed:
    return Observed(
        ref=start.ref,
        lease_id=start.lease_id,
        hub_id=start.hub_id,
        account=start.account,
        server_name=start.server_name,
        flavor=start.flavor,
        started_at=start.started_at,
        finished_at=None if end is None else max(start.started_at, end.at),
        exit_code=None if end is None else end.exit_code,
        ended_how="" if end is None else end.how,
        gpu_uuid=start.gpu_uuid,
        emergency_until=start.emergency_until,
    )


def _is_alive(start: Started) -> bool:
    return start_ticks(start.pid) == start.start_ticks and boot_id() == start.boot_id


def _plain(ref: str) -> str:
    """Refuse a name that would lead out of the folder."""
    if not ref or ref.startswith(".") or "/" in ref or "\0" in ref:
        raise ValueError(f"no name of a session: {ref!r}")
    return ref
