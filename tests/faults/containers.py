"""Real books, a real worker and real containers, without a hub: for faults of the engine."""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import docker
from sqlalchemy import Engine

from api.deadlines import write_deadlines
from api.enforce import Enforcer
from api.gpus.devices import GpuDevice
from api.runtimes.docker import FLAVOR, HUB, LEASE, SERVER, USER, DockerRuntime
from api.sightings import Sightings
from api.worker import Worker
from api.worker_metrics import WorkerMetrics
from quota.clock import SystemClock
from quota.lab import Lab
from quota.leases import LeaseRequest
from quota.service import Books
from quota.views import LeaseView, SessionView
from tests.engine import BASE_IMAGE
from tests.quota.books import make_lab

LAB = make_lab(grace_s=2, minimum_start_s=0, spawn_timeout_s=30, tick_s=1)
# Ends at once when it is asked to.
RUNS = "trap 'exit 0' TERM; sleep 600 & wait"


class Policy:
    """A file of rules that nobody changes."""

    lab: Lab = LAB

    def refresh(self) -> bool:
        return False


class Gpus:
    """Two virtual GPUs, as the worker finds them."""

    def devices(self) -> tuple[GpuDevice, ...]:
        return tuple(GpuDevice(uuid=f"GPU-{number}", name="Virtual GPU", memory_mib=16384,
                               kind="virtual") for number in range(2))  # fmt: skip


@dataclass
class ContainerLab:
    """Containers are made on `client`, the worker reaches them by `url`."""

    books_engine: Engine
    client: docker.APIClient
    hub_id: str
    folder: Path
    url: str | None = None
    image: str = BASE_IMAGE
    metrics: WorkerMetrics = field(default_factory=WorkerMetrics)

    def __post_init__(self) -> None:
        self.clock = SystemClock()
        self.books = Books(self.books_engine, LAB, self.clock, hub_id=self.hub_id)
        self.note = self.folder / "deadlines.json"
        self.employ()
        self.worker.take_inventory()

    def employ(self) -> None:
        """Put a worker there that knows nothing but what outlives a worker."""
        self.runtime = DockerRuntime(self.hub_id, self.clock, base_url=self.url)
        # No hub: it takes no request.
        self.enforcer = Enforcer(self.runtime, lambda *_: False, hub_budget_s=0, grace_s=2,
                                 on_gone=lambda: None)  # fmt: skip
        self.worker = Worker(
            self.books, self.runtime, self.enforcer, Gpus(), policy=Policy(),
            save_deadlines=lambda some: write_deadlines(self.note, some), metrics=self.metrics,
            sightings=Sightings(self.folder / "sightings.json"),
        )  # fmt: skip

    def start(
        self, who: str = "ada", flavor: str = "quarter", script: str = RUNS, **host: Any
    ) -> tuple[UUID, str]:
        """Ask for a lease and start a container on it, as the hub does."""
        view = self.ask(who, flavor)
        assert view.lease.state == "held", view
        return view.lease.id, self.run(view.lease.id, who, flavor, script, **host)

    def ask(self, who: str, flavor: str) -> LeaseView:
        lease_id = uuid4()
        wanted = LeaseRequest(hub_id=self.hub_id, account=who, server_name="", flavor=flavor,
                              image="base")  # fmt: skip
        return self.books.request_lease(lease_id, wanted)

    def run(self, lease_id: UUID | None, who: str, flavor: str, script: str, **host: Any) -> str:
        labels = {LEASE: str(lease_id or ""), HUB: self.hub_id, USER: who, SERVER: "",
                  FLAVOR: flavor}  # fmt: skip
        made = self.client.create_container(
            self.image, command=["sh", "-c", script], entrypoint=[], labels=labels,
            environment={"GPULAB_LEASE": str(lease_id or ""), "GPULAB_TEST_HUB": self.hub_id},
            host_config=self.client.create_host_config(**{"network_mode": "none"} | host),
            healthcheck={"test": ["NONE"]},
        )  # fmt: skip
        self.client.start(made["Id"])
        return str(made["Id"])

    def tick(self) -> None:
        """One pass, with all that it began."""
        self.worker._try_tick()
        for begun in list(self.enforcer._busy.values()):
            begun.result(timeout=60)

    def tick_until(self, what: str, look: Callable[[], bool], *, within_s: float = 30) -> None:
        until = time.monotonic() + within_s
        while not look():
            assert time.monotonic() < until, f"not within {within_s:g} s: {what}"
            self.tick()
            time.sleep(0.05)

    def books_sessions(self, who: str) -> tuple[SessionView, ...]:
        return self.books.account(who).sessions

    def state(self, lease_id: UUID) -> str:
        return self.books.lease(lease_id).lease.state

    def is_gone(self, ref: str) -> bool:
        found: list[Any] = self.client.containers(all=True, filters={"id": ref})
        return not found

    def close(self) -> None:
        self.enforcer.close()
        self.runtime.close()
        for one in self.client.containers(all=True, filters={"label": f"{HUB}={self.hub_id}"}):
            self.client.remove_container(one["Id"], v=True, force=True)
        gc.collect()


@contextmanager
def container_lab(*given: Any, **named: Any) -> Iterator[ContainerLab]:
    lab = ContainerLab(*given, **named)
    try:
        yield lab
    finally:
        lab.close()
