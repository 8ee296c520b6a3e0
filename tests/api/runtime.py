"""A small runtime for tests, as stubborn and as absent as it is told to be."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from api.runtimes.protocol import RuntimeUnavailable, StillRunning
from quota.observed import Observed


@dataclass
class FakeRuntime:
    """Sessions in a dict. `calls` tells who was asked for what, in order."""

    now: Callable[[], datetime]
    name: str = "fake"
    sessions: dict[str, Observed] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    survives: set[str] = field(default_factory=set)
    is_away: bool = False
    lists: bool = True
    changed: threading.Event = field(default_factory=threading.Event)

    def run(self, one: Observed) -> str:
        self.sessions[one.ref] = one
        self.changed.set()
        return one.ref

    def end(self, ref: str) -> None:
        self.sessions[ref] = replace(self.sessions[ref], finished_at=self.now(), exit_code=0)
        self.changed.set()

    def observe(self) -> list[Observed]:
        self._asked("observe", "")
        return list(self.sessions.values())

    def started_without_books(self) -> list[Observed]:
        if self.is_away or not self.lists:
            raise RuntimeUnavailable("away")
        return [one for one in self.sessions.values() if one.emergency_until and one.is_running]

    def is_running(self, ref: str) -> bool:
        if self.is_away:
            raise RuntimeUnavailable("away")
        return ref in self.sessions and self.sessions[ref].is_running

    def stop(self, ref: str, grace_s: int) -> None:
        assert grace_s >= 0
        self._end_by("stop", ref)

    def kill(self, ref: str) -> None:
        self._end_by("kill", ref)

    def remove(self, ref: str) -> None:
        self._asked("remove", ref)
        if self.is_running(ref):
            raise StillRunning(ref)
        self.sessions.pop(ref, None)

    def wait_event(self, timeout_s: float) -> bool:
        happened = self.changed.wait(timeout_s)
        self.changed.clear()
        return happened

    def _end_by(self, how: str, ref: str) -> None:
        self._asked(how, ref)
        if how in self.survives:
            raise StillRunning(ref)
        if self.is_running(ref):
            self.end(ref)

    def _asked(self, what: str, ref: str) -> None:
        self.calls.append((what, ref))
        if self.is_away:
            raise RuntimeUnavailable("away")


def session(started_at: datetime, ref: str = "c-1", **more: object) -> Observed:
    fields: dict[str, Any] = {"ref": ref, "lease_id": uuid4(), "hub_id": "main", "account": "ada",
              "server_name": "", "flavor": "whole", "started_at": started_at,
              "finished_at": None, "exit_code": None} | more  # fmt: skip
    return Observed(**fields)
