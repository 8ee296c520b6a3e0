"""A worker's look at its sessions, in a test's hands: real books, a driver, a hub over HTTP."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import httpx2

from api.gpus.devices import GpuSource
from api.gpus.processes import Process
from api.hub_activity import HubActivity
from api.idle import IdleWatch
from api.worker_metrics import WorkerMetrics
from quota.idling import Idling
from tests.gpu.conftest import Driver
from tests.gpu.world import Card
from tests.quota.books import Desk


@dataclass
class Hub:
    """As much of JupyterHub as is asked for activity, two users to a page."""

    signs: dict[str, datetime] = field(default_factory=dict)
    posted: list[tuple[str, datetime]] = field(default_factory=list)
    is_away: bool = False
    starting: set[str] = field(default_factory=set)

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        if self.is_away:
            raise httpx2.ConnectError("refused")
        assert request.headers["authorization"] == "token s3cret"
        if request.method == "POST":
            who = request.url.path.split("/")[-2]
            told = json.loads(request.content)["servers"][""]["last_activity"]
            self.posted.append((who, datetime.fromisoformat(told)))
            self.signs[who] = max(self.signs[who], self.posted[-1][1])
            return httpx2.Response(200)
        assert request.url.params["state"] == "active"
        first = int(request.url.params["offset"])
        names = sorted(self.signs)[first : first + 2]
        items = [{"name": who, "servers": {"": self.server(who)}} for who in names]
        more = {"offset": first + 2} if len(self.signs) > first + 2 else None
        return httpx2.Response(200, json={"items": items, "_pagination": {"next": more}})

    def server(self, who: str) -> dict[str, object]:
        at = self.signs[who].isoformat()
        return {"ready": who not in self.starting, "last_activity": at}


@dataclass
class Bench:
    """A worker's eyes, and everything that they see in a test's hands."""

    desk: Desk
    driver: Driver
    hub: Hub = field(default_factory=Hub)
    metrics: WorkerMetrics = field(default_factory=WorkerMetrics)
    owners: dict[int, str] = field(default_factory=dict)
    cpu_s: dict[int, float] = field(default_factory=dict)
    released: list[datetime] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.driver.world.cards = [Card("T4", "GPU-0"), Card("T4", "GPU-1")]
        self.watch = self.watching(self.driver.follow())

    def watching(self, gpus: GpuSource) -> IdleWatch:
        transport = httpx2.MockTransport(self.hub.answer)
        return IdleWatch(
            Idling(self.desk.books), gpus, self,
            HubActivity("http://hub/hub/api", "s3cret", transport),
            metrics=self.metrics, processes=self.processes,
            on_released=lambda: self.released.append(self.desk.clock.now()),
        )  # fmt: skip

    def sessions_of(self, processes: Mapping[int, Process], refs: Iterable[str]) -> dict[int, str]:
        return {pid: ref for pid, ref in self.owners.items() if ref in refs}

    def processes(self) -> dict[int, Process]:
        return {pid: Process(pid=pid, parent=1, start_ticks=1, cpu_s=self.cpu_s.get(pid, 0.0))
                for pid in self.owners}  # fmt: skip

    def start(self, who: str, pid: int, flavor: str = "whole") -> UUID:
        lease_id, ref = self.desk.run(who, flavor)
        self.owners[pid] = ref
        self.hub.signs[who] = self.desk.clock.now()
        return lease_id

    def go(self, minutes: int, *, cpu_cores: float = 0.0, every_s: int = 60) -> None:
        self.driver.change()
        for _ in range(minutes * 60 // every_s):
            self.desk.go(every_s=every_s, seconds=every_s)
            for pid in self.owners:
                self.cpu_s[pid] = self.cpu_s.get(pid, 0.0) + cpu_cores * every_s
            self.watch.try_look()

    def state(self, who: str) -> str:
        shown = self.desk.books.account(who).sessions[0].state
        return "" if shown is None else shown.state

    def gpu_of(self, lease_id: UUID) -> int:
        return int(str(self.desk.books.lease(lease_id).lease.gpu_uuid).removeprefix("GPU-"))
