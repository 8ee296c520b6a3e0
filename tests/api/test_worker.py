"""The worker's pass over real books and a small runtime."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
from sqlalchemy import Engine
from structlog.testing import capture_logs

from api.deadlines import Deadlines
from api.enforce import Enforcer
from api.gpu_metrics import OUTCOMES
from api.gpus.declared import DeclaredGpus
from api.gpus.devices import GpuDevice, InventoryUnavailable
from api.policy import LabFile
from api.worker import Worker
from api.worker_metrics import ALARMS, WorkerMetrics, served
from quota.audit import By
from quota.errors import BooksUnavailable
from quota.lab_file import parse_lab
from quota.reserving_ahead import Reserving
from tests.api.processes import free_port
from tests.api.runtime import FakeRuntime, session
from tests.quota.books import LAB_YAML, Desk


@dataclass
class Inventory:
    """What GPUs there are, until the driver fails."""

    is_broken: bool = False

    def devices(self) -> tuple[GpuDevice, ...]:
        if self.is_broken:
            raise InventoryUnavailable("the driver fell over")
        return (GpuDevice(uuid="GPU-0", name="Virtual GPU", memory_mib=16384, kind="virtual"),)


@dataclass
class Bench:
    """A worker with everything around it in a test's hands."""

    desk: Desk
    lab_file: Path
    runtime: FakeRuntime = field(init=False)
    notes: list[Deadlines] = field(default_factory=list)
    inventory: Inventory = field(default_factory=Inventory)
    metrics: WorkerMetrics = field(default_factory=WorkerMetrics)

    def __post_init__(self) -> None:
        self.runtime = FakeRuntime(self.desk.clock.now)
        self.enforcer = Enforcer(self.runtime, lambda *_: False, hub_budget_s=0, grace_s=0,
                                 on_gone=lambda: None)  # fmt: skip
        self.worker = Worker(self.desk.books, self.runtime, self.enforcer, self.inventory,
                             policy=LabFile(self.lab_file), save_deadlines=self.notes.append,
                             metrics=self.metrics)  # fmt: skip

    def start(self, who: str = "ada", flavor: str = "whole") -> str:
        view = self.desk.ask(who, flavor)
        self.desk.start(view)
        return self.runtime.run(self.desk.containers.pop(f"c-{view.lease.id}"))

    def tick(self, **later: float) -> None:
        self.desk.clock.advance(timedelta(**later))
        self.worker._try_tick()

    def settle(self) -> None:
        for done in list(self.enforcer._busy.values()):
            done.result(timeout=10)

    def value(self, name: str, **labels: str) -> float:
        found = self.metrics.registry.get_sample_value(name, labels)
        assert found is not None, (name, labels)
        return found


@pytest.fixture
def bench(engine: Engine, tmp_path: Path) -> Iterator[Bench]:
    lab_file = tmp_path / "lab.yaml"
    lab_file.write_text(LAB_YAML)
    bench = Bench(Desk(engine), lab_file)
    yield bench
    bench.enforcer.close()
    bench.desk.check()


def test_p17_what_is_used_up_is_stopped_posted_and_removed(bench: Bench) -> None:
    ref = bench.start("emeka")
    for _ in range(60):
        bench.tick(minutes=1)
    bench.settle()
    assert not bench.runtime.is_running(ref)
    bench.tick(seconds=1)
    assert bench.runtime.sessions == {}, "removed once its end was posted"
    view = bench.desk.books.account("emeka")
    assert (view.balance.hours_text(), view.sessions) == ("0.00", ())
    kinds = [one.kind for one in view.notices]
    assert "stopped" in kinds
    assert sum(kind.startswith("warning") for kind in kinds) >= 1


def test_each_pass_notes_until_when_sessions_may_run(bench: Bench) -> None:
    ref, free = bench.start("emeka"), bench.start("chen", "cpu")
    bench.tick()
    now = bench.desk.clock.now()
    note = {one.ref: one.deadline for one in bench.notes[-1].sessions}
    assert note[ref] == now + timedelta(hours=1, seconds=50)
    assert note[free] == now + timedelta(hours=2, seconds=50)


def test_each_pass_keeps_what_is_reserved(bench: Bench) -> None:
    desk = bench.desk
    desk.follow(parse_lab(f"{LAB_YAML}\nreservations: {{most_open: 1}}\n", "lab.yaml"))
    Reserving(desk.books).reserve(
        uuid4(), "ada", flavor="whole", starts_at=desk.clock.now() + timedelta(hours=2),
        minutes=60, by=By(actor="ada"),
    )  # fmt: skip
    bench.tick(hours=2)
    (begun,) = desk.books.account("ada").notices
    assert begun.kind == "reserved"
    bench.tick(minutes=15)
    assert "given to others" in desk.books.account("ada").notices[0].text


def test_p20_a_runtime_that_cannot_be_seen_concludes_nothing(bench: Bench) -> None:
    bench.start()
    bench.tick(minutes=5)
    before = bench.desk.books.account("ada")
    notes = len(bench.notes)
    bench.runtime.is_away = True
    bench.tick()
    assert bench.desk.books.account("ada") == before
    assert len(bench.notes) == notes, "the last note stays, so the watchdog's horizon runs"
    assert bench.value("gpulab_worker_ticks_total", outcome="failed") == 1
    bench.runtime.is_away = False
    bench.tick(minutes=5)
    assert bench.desk.books.account("ada").charged.hours_text() == "0.17"


def test_a_driver_that_fails_stops_no_metering(bench: Bench) -> None:
    ref = bench.start("emeka")
    bench.inventory.is_broken = True
    for _ in range(61):
        bench.tick(minutes=1)
    bench.settle()
    assert not bench.runtime.is_running(ref)
    assert bench.value("gpulab_worker_ticks_total", outcome="done") == 61


def test_p26_what_runs_without_a_lease_is_an_alarm_and_is_stopped(bench: Bench) -> None:
    ref = bench.runtime.run(session(bench.desk.clock.now(), "stray", lease_id=None))
    with capture_logs() as logs:
        bench.tick(seconds=15)
        bench.tick(seconds=15)
        bench.settle()
    assert [one["event"] for one in logs if one.get("alarm")] == ["session_adopted"]
    assert not bench.runtime.is_running(ref)
    bench.tick(seconds=1)
    assert bench.desk.books.account("ada").charged.mgpu_ms > 0


def test_a_mistake_of_ours_ends_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched, capture_logs() as logs:
        patched.setattr(bench.desk.books, "tick", lambda *_, **__: 1 / 0)
        bench.tick()
    assert [one["event"] for one in logs if one.get("alarm")] == ["tick_broken"]
    assert bench.value("gpulab_worker_ticks_total", outcome="broken") == 1
    bench.tick()
    assert bench.value("gpulab_worker_ticks_total", outcome="done") == 1


def test_a_database_that_is_away_is_no_mistake(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise BooksUnavailable("locked")

    monkeypatch.setattr(bench.desk.books, "set_inventory", away)
    with capture_logs() as logs:
        bench.tick()
    assert [one["event"] for one in logs] == ["tick_failed"]


def test_the_inventory_says_how_gpus_are_shared_and_whether_memory_is_held(
    bench: Bench,
) -> None:
    class Holder:
        def promise(self, devices: tuple[GpuDevice, ...]) -> frozenset[str]:
            return frozenset(one.uuid for one in devices)

    bench.worker._memory = Holder()  # type: ignore[assignment]
    view = bench.desk.ask("ada", "quarter")
    bench.tick()
    held = bench.desk.books.lease(view.lease.id).gpu
    assert held is not None
    assert (held.sharing, held.holds_memory) == ("plain", True)
    text = LAB_YAML.replace("mode: declared", "mode: declared\n  sharing: exclusive")
    bench.lab_file.write_text(text.replace("  sharing:", "  memory: advice\n  sharing:"))
    bench.tick()  # reads it
    bench.tick()
    told = bench.desk.books.lease(view.lease.id).gpu
    assert told is not None
    assert (told.sharing, told.holds_memory) == ("exclusive", False)


def test_the_loop_ends_when_told_and_wakes_when_nudged(bench: Bench) -> None:
    stopped = threading.Event()
    thread = threading.Thread(target=bench.worker.run, args=(stopped,))
    thread.start()
    try:
        for count in (1, 2):
            until = threading.Event()
            for _ in range(500):
                if len(bench.notes) >= count:
                    break
                until.wait(0.01)
            assert len(bench.notes) >= count, "a nudge is enough, no tick time has passed"
            bench.worker.nudged.set()
    finally:
        stopped.set()
        bench.worker.nudged.set()
        thread.join(timeout=10)
    assert not thread.is_alive()


def test_the_next_pass_is_when_the_first_one_runs_out(bench: Bench) -> None:
    bench.start("emeka")
    bench.desk.clock.advance(timedelta(minutes=59, seconds=55))
    result = bench.worker.tick()
    assert bench.worker._wait_s(result) == pytest.approx(5.001)
    bench.desk.clock.advance(timedelta(seconds=5))
    assert bench.worker._wait_s(result) == pytest.approx(0.001), "the pass itself took too long"
    bench.desk.clock.advance(timedelta(seconds=-35))
    assert bench.worker._wait_s(result) == 15
    assert bench.worker._wait_s(None) == 15


def test_the_policy_is_read_again_when_it_changes(bench: Bench) -> None:
    bench.lab_file.write_text(LAB_YAML.replace("hours_per_week: 10", "hours_per_week: 12"))
    bench.tick()
    assert bench.desk.books.account("ada").balance.hours_text() == "12.00"
    bench.lab_file.write_text("name: [")
    with capture_logs() as logs:
        bench.tick()
    assert [one["event"] for one in logs] == ["lab_file_refused"]
    assert bench.desk.books.account("ada").balance.hours_text() == "12.00"
    bench.lab_file.unlink()
    bench.tick()
    assert bench.desk.books.account("ada").balance.hours_text() == "12.00"


def test_the_metrics_are_served_on_this_machine() -> None:
    metrics, port = WorkerMetrics(), free_port()
    metrics.count_alarm("session_not_stopped")
    with served(metrics, port):
        text = httpx2.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text
    assert 'gpulab_worker_alarms_total{event="session_not_stopped"} 1.0' in text
    for label in (*ALARMS, *OUTCOMES):
        assert f'"{label}"' in text, "every label is there from the start"
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"http://127.0.0.1:{port}/metrics", timeout=5)
    with served(metrics, 0):
        pass


def test_the_declared_gpus_are_what_lab_yaml_says() -> None:
    declared = parse_lab(LAB_YAML, "lab.yaml").gpus.declared
    devices = DeclaredGpus(declared).devices()
    assert [one.uuid for one in devices] == ["VIRTUAL-0", "VIRTUAL-1"]
    assert {one.kind for one in devices} == {"virtual"}
