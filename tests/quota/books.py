"""Small books for tests: a lab, a clock by hand, a runtime by hand, and the real store."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import Engine

from quota.amount import GpuTime
from quota.clock import ManualClock
from quota.invariants import describe
from quota.lab import Lab
from quota.lab_file import parse_lab
from quota.leases import LeaseRequest
from quota.observed import Observed
from quota.office import Office
from quota.placement import GpuUse
from quota.service import Books
from quota.store import reads
from quota.store.engine import reading
from quota.tick import TickResult
from quota.views import LeaseView

# A Wednesday noon, far from any boundary.
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)

LAB_YAML = """
name: Test lab
sections:
  utc: {time_zone: UTC, scholars: [ada, blaise, chen, dina], hours_per_week: 10, tas: [tomas]}
  berlin: {time_zone: Europe/Berlin, scholars: [emeka], hours_per_week: 1}
organizers: [olga]
flavors:
  cpu: {title: CPU, weight_mgpu: 0}
  quarter: {title: Quarter GPU, weight_mgpu: 250, share_mgpu: 250, memory_mib: 4096}
  whole: {title: Whole GPU, weight_mgpu: 1000, share_mgpu: 1000, memory_mib: 16384}
images:
  base: {title: Base, docker: "gpulab/base:latest"}
gpus:
  mode: declared
  declared: [{name: Virtual GPU, memory_mib: 16384, count: 2}]
"""


# Its second week begins on the Monday after NOON; between the third and the fourth is a break.
PROGRAM = """
program:
  starts_on: 2026-11-23
  ends_on: 2027-01-10
  weeks:
    - {topic: Basics, part: One}
    - {topic: Depth, part: One}
    - {topic: Scale, part: Two, hours: 20}
    - {topic: Project, part: Two, optional: true, starts_on: 2027-01-04}
"""


def lab_with(more: str = "", *, section: str = "", **policy: object) -> Lab:
    """Read the small lab with more parts, and more keys of the section `utc`."""
    assert LAB_YAML.count("tas: [tomas]}") == 1
    keys = f"tas: [tomas], {section}}}" if section else "tas: [tomas]}"
    return make_lab(LAB_YAML.replace("tas: [tomas]}", keys) + more, **policy)


def make_lab(text: str = LAB_YAML, **policy: object) -> Lab:
    """Read a small lab, with policy numbers changed."""
    lab = parse_lab(text, "lab.yaml")
    return lab.model_copy(update={"policy": lab.policy.model_copy(update=policy)})


def gpu(uuid: str, memory_mib: int = 16384) -> GpuUse:
    """An empty virtual GPU."""
    return GpuUse(uuid=uuid, name="Virtual GPU", kind="virtual", memory_mib=memory_mib,
                  in_service=True, used_mgpu=0, used_mib=0, sharers=0)  # fmt: skip


@dataclass
class Desk:
    """The books with hands: ask, start, stop, tick."""

    engine: Engine
    lab: Lab = field(default_factory=make_lab)
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOON))
    containers: dict[str, Observed] = field(default_factory=dict)
    hub_id: str = "main"

    def __post_init__(self) -> None:
        self.books = Books(self.engine, self.lab, self.clock, hub_id=self.hub_id)
        self.office = Office(self.books)
        prefix = "GPU" if self.hub_id == "main" else self.hub_id
        self.books.set_inventory([gpu(f"{prefix}-0"), gpu(f"{prefix}-1")])

    def ask(self, who: str = "ada", flavor: str = "whole", *, lease_id: UUID | None = None,
            server: str = "", present: bool = True) -> LeaseView:  # fmt: skip
        wanted = LeaseRequest(hub_id=self.hub_id, account=who, server_name=server, flavor=flavor,
                              image="base")  # fmt: skip
        return self.books.request_lease(lease_id or uuid4(), wanted, present=present)

    def start(self, view: LeaseView) -> str:
        """Let the container of a held lease start now."""
        ref = f"c-{view.lease.id}"
        self.containers[ref] = Observed(
            ref=ref, lease_id=view.lease.id, hub_id=self.hub_id, account=view.account,
            server_name=view.lease.server_name, flavor=view.lease.flavor,
            started_at=self.clock.now(), finished_at=None, exit_code=None,
        )  # fmt: skip
        return ref

    def finish(self, ref: str) -> None:
        """Let a container exit now."""
        one = self.containers[ref]
        self.containers[ref] = replace(one, finished_at=self.clock.now(), exit_code=0)

    def run(self, who: str = "ada", flavor: str = "whole", server: str = "") -> tuple[UUID, str]:
        """Ask, start and let the worker see it."""
        view = self.ask(who, flavor, server=server)
        assert view.lease.state == "held", view
        ref = self.start(view)
        self.tick()
        return view.lease.id, ref

    def tick(self) -> TickResult:
        result = self.books.tick(self.containers.values(), seen_at=self.clock.now())
        for ref in result.removals:
            self.containers.pop(ref, None)
        return result

    def go(self, *, every_s: int = 15, **by: float) -> list[TickResult]:
        """Let time pass, with ticks, stopping what has to stop as the worker would."""
        end = self.clock.now() + timedelta(**by)
        results = []
        while self.clock.now() < end:
            self.clock.advance(min(timedelta(seconds=every_s), end - self.clock.now()))
            results.append(self.tick())
            for order in results[-1].stops:
                if order.ref in self.containers:
                    self.finish(order.ref)
        return results

    def follow(self, lab: Lab) -> None:
        """Let lab.yaml say something else from now on."""
        self.books.lab = lab

    def use(self, who: str = "ada", flavor: str = "whole", **by: float) -> UUID:
        """Run a session for so long, from start to end, with a tick every five minutes."""
        lease_id, ref = self.run(who, flavor)
        self.go(every_s=300, **by)
        if ref in self.containers:
            self.finish(ref)
            self.tick()
        return lease_id

    def at(self, text: str) -> None:
        """Set the clock to an instant of UTC."""
        self.clock.set(datetime.fromisoformat(text).replace(tzinfo=UTC))

    def budget(self, kind: str, name: str) -> GpuTime:
        """Tell what a pool, help budget or TA has, as the ledger says it."""
        with reading(self.engine) as tx:
            row = reads.account_row(tx, self.hub_id, name, kind=kind)
        assert row is not None, "made at its first use"
        posted: GpuTime = row["posted"]
        return posted

    def sources(self, who: str = "ada") -> dict[str, str]:
        """Tell what is left of each kind of lot that can be used now."""
        now = self.clock.now()
        found: dict[str, GpuTime] = {}
        for lot in self.books.account(who).lots:
            if lot.is_usable(now):
                found[lot.source] = found.get(lot.source, GpuTime.ZERO) + lot.remaining
        return {source: left.text() for source, left in found.items()}

    def check(self) -> None:
        found = self.books.check()
        assert not found, describe(found)

    def balance(self, who: str = "ada") -> str:
        return self.books.account(who).balance.hours_text()


def hours(text: str) -> GpuTime:
    return GpuTime.parse(text)
