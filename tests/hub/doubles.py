"""Honest small doubles: a service with scripted answers, and as much of a spawner as hooks see."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

from hub.client import ServiceRefused
from hub.emergency import EmergencyMode
from hub.hooks import Admission
from hub.leased import Leased
from hub.progress import Watched
from hub.replies import Account, Gpu, GpuState, Lease, Line, SpawnOptions, Visits
from quota.clock import ManualClock
from quota.lab import Lab
from quota.leases import LeaseRequest
from tests.quota.books import NOON, make_lab

Result = TypeVar("Result")

GPU = Gpu(uuid="GPU-0", virtual=True)
FIRST = Line(position=1, of=2, reason="all_taken", text="All GPUs are taken.",
             estimated_wait_s=300, offered=False)  # fmt: skip


def run(work: Coroutine[Any, Any, Result]) -> Result:
    return asyncio.run(work)


def lease(lease_id: UUID, state: str = "held", *, gpu: Gpu | None = GPU,
          line: Line | None = None, end_text: str | None = None) -> Lease:  # fmt: skip
    return Lease.model_validate({"id": lease_id, "state": state, "gpu": gpu, "waiting": line,
                                 "end_reason": None, "end_text": end_text})  # fmt: skip


Answer = Callable[[UUID], Lease] | Exception


@dataclass
class ScriptedService:
    """Gives the next answer each time it is asked, the last one for ever."""

    answers: list[Answer] = field(default_factory=lambda: [lease])
    stop_errors: list[Exception] = field(default_factory=list)
    asked: list[tuple[UUID, LeaseRequest, bool]] = field(default_factory=list)
    stopped: list[tuple[UUID, str]] = field(default_factory=list)
    account_reply: Account | Exception | None = None
    options_reply: SpawnOptions | Exception | None = None
    keep_reply: GpuState | Exception | None = None
    kept: list[UUID] = field(default_factory=list)
    place_reply: Exception | None = None
    places: list[UUID] = field(default_factory=list)
    visits_reply: Visits | Exception | None = None
    visited: list[tuple[UUID, str]] = field(default_factory=list)
    times_shown: int = 0

    async def request_lease(
        self, lease_id: UUID, wanted: LeaseRequest, *, present: bool = True
    ) -> Lease:
        self.asked.append((lease_id, wanted, present))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer(lease_id)

    async def stop_lease(self, lease_id: UUID, reason: str) -> None:
        if self.stop_errors:
            raise self.stop_errors.pop(0)
        self.stopped.append((lease_id, reason))

    async def keep_gpu(self, lease_id: UUID) -> GpuState:
        assert self.keep_reply is not None, lease_id
        self.kept.append(lease_id)
        if isinstance(self.keep_reply, Exception):
            raise self.keep_reply
        return self.keep_reply

    async def keep_place(self, lease_id: UUID) -> Lease:
        if isinstance(self.place_reply, Exception):
            raise self.place_reply
        self.places.append(lease_id)
        return lease(lease_id, "waiting", gpu=None, line=FIRST)

    async def visits(self, lease_id: UUID, no_observing: str) -> Visits:
        self.visited.append((lease_id, no_observing))
        assert self.visits_reply is not None, lease_id
        if isinstance(self.visits_reply, Exception):
            raise self.visits_reply
        return self.visits_reply

    async def account(self, name: str) -> Account:
        self.times_shown += 1
        assert self.account_reply is not None, name
        if isinstance(self.account_reply, Exception):
            raise self.account_reply
        return self.account_reply

    async def spawn_options(self, name: str) -> SpawnOptions:
        assert self.options_reply is not None, name
        if isinstance(self.options_reply, Exception):
            raise self.options_reply
        return self.options_reply


@dataclass
class Database:
    """Counts commits, and what was in the state at each."""

    commits: int = 0

    def commit(self) -> None:
        self.commits += 1


@dataclass
class User:
    name: str
    db: Database = field(default_factory=Database)


@dataclass
class OrmSpawner:
    state: dict[str, Any] = field(default_factory=dict)
    user_options: Any = None


class Bare:
    """Where the mixins end: as much of JupyterHub's Spawner as they build on."""

    def get_state(self) -> dict[str, Any]:
        return {}


class FakeSpawner(Watched, Leased, Bare):
    """The real mixins on a bare spawner."""

    def __init__(self, name: str = "ada", flavor: str = "whole", server: str = "") -> None:
        super().__init__()
        self.user = User(name)
        self.name = server
        self.orm_spawner = OrmSpawner()
        self.user_options: Any = {}
        self.flavor_name, self.image_name = flavor, "base"


@dataclass
class FixedLab:
    lab: Lab = field(default_factory=make_lab)


@dataclass
class Stopwatch:
    """Time that passes only by sleeping."""

    now_s: float = 1000.0

    async def sleep(self, for_s: float) -> None:
        self.now_s += for_s
        await asyncio.sleep(0)

    def monotonic(self) -> float:
        return self.now_s


def admission(service: ScriptedService, watch: Stopwatch | None = None,
              lab: Lab | None = None, emergency: EmergencyMode | None = None
              ) -> Admission:  # fmt: skip
    watch = watch or Stopwatch()
    return Admission(
        service, FixedLab(lab or make_lab()), hub_id="main", home_url="/hub/home",
        clock=ManualClock(NOON), emergency=emergency, sleep=watch.sleep,
        monotonic=watch.monotonic,
    )  # fmt: skip


def refusal(code: str = "insufficient_balance", **more: Any) -> ServiceRefused:
    return ServiceRefused(code, "Not enough GPU-hours.", **more)
