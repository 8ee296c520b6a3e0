"""A machine that sessions run on, and that outlives every process of the lab: it lies in files."""

import json
import threading
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from api.runtimes.protocol import StillRunning
from quota.clock import Clock
from quota.observed import Observed

# What a session still runs after the worker has seen it for the last time.
STOP_TAKES = timedelta(seconds=3)


class Machine:
    """The runtime of a story: what runs, what has ended, and what was removed since."""

    name = "files"

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        # Stops go on in threads of their own.
        self._one = threading.RLock()
        self._clock = clock
        self.sessions = self._saved("sessions")
        self.removed = self._saved("removed")

    def start(self, one: Observed) -> None:
        """Let a session start, unless it did so before a crash."""
        if one.ref not in self.sessions and one.ref not in self.removed:
            self._put("sessions", self.sessions, one)

    def finish(self, ref: str, *, after: timedelta = timedelta(0)) -> None:
        with self._one:
            one = self.sessions.get(ref)
            if one is not None and one.is_running:
                ended = replace(one, finished_at=self._clock.now() + after, exit_code=0)
                self._put("sessions", self.sessions, ended)

    # -- what the worker asks ------------------------------------------------------------------

    def observe(self) -> list[Observed]:
        return list(self.sessions.values())

    def started_without_books(self) -> list[Observed]:
        return [one for one in self.sessions.values() if one.emergency_until and one.is_running]

    def is_running(self, ref: str) -> bool:
        return ref in self.sessions and self.sessions[ref].is_running

    def stop(self, ref: str, grace_s: int) -> None:
        assert grace_s >= 0
        self.finish(ref, after=STOP_TAKES)

    def kill(self, ref: str) -> None:
        self.finish(ref)

    def remove(self, ref: str) -> None:
        if self.is_running(ref):
            raise StillRunning(ref)
        with self._one:
            if ref in self.sessions:
                # First there, then not here: a crash between the two loses no record.
                self._put("removed", self.removed, self.sessions[ref])
                del self.sessions[ref]
                self._save("sessions", self.sessions)

    def wait_event(self, timeout_s: float) -> bool:
        raise AssertionError(f"nobody listens here for {timeout_s} s")

    # -- files ---------------------------------------------------------------------------------

    def _put(self, name: str, some: dict[str, Observed], one: Observed) -> None:
        some[one.ref] = one
        self._save(name, some)

    def _save(self, name: str, some: dict[str, Observed]) -> None:
        draft = self._folder / f"{name}.new"
        draft.write_text(json.dumps([written(one) for one in some.values()]))
        draft.replace(self._folder / name)

    def _saved(self, name: str) -> dict[str, Observed]:
        path = self._folder / name
        saved = json.loads(path.read_text()) if path.exists() else []
        return {one["ref"]: read(one) for one in saved}


def written(one: Observed) -> dict[str, object]:
    return {name: str(value) if isinstance(value := getattr(one, name), datetime | UUID)
            else value for name in Observed.__slots__}  # fmt: skip


def read(saved: dict[str, str]) -> Observed:
    instants = {name: datetime.fromisoformat(saved[name]) if saved[name] else None
                for name in ("started_at", "finished_at")}  # fmt: skip
    lease_id = UUID(saved["lease_id"]) if saved["lease_id"] else None
    return Observed(**(saved | instants | {"lease_id": lease_id}))  # type: ignore[arg-type]
