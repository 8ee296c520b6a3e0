"""The worker's look at its sessions: real books, the real bindings, a hub over HTTP."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from api.gpus.declared import DeclaredGpus
from tests.gpu.bench import Bench
from tests.gpu.conftest import IN_PYTHON, Driver
from tests.gpu.world import Running
from tests.quota.books import Desk
from tests.quota.memory import engine_in_memory


@pytest.fixture
def bench(driver: Driver, tmp_path: Path) -> Iterator[Bench]:
    with engine_in_memory(tmp_path) as engine:
        bench = Bench(Desk(engine), driver)
        yield bench
        bench.desk.check()


def test_idle_sessions_give_their_gpu_back_and_training_ones_do_not(bench: Bench) -> None:
    holds, trains = bench.start("ada", 11), bench.start("blaise", 22)
    bench.driver.world.processes = [Running(bench.gpu_of(holds), 11, 900),
                                    Running(bench.gpu_of(trains), 22, 900, sm=70)]  # fmt: skip
    bench.go(29)
    assert (bench.state("ada"), bench.state("blaise")) == ("holding", "training")
    assert bench.released == []
    bench.go(3)
    assert len(bench.released) == 1
    assert bench.desk.books.lease(holds).lease.stop_reason == "idle"
    bench.go(30)
    assert bench.desk.books.lease(trains).lease.state == "active"
    value = bench.metrics.registry.get_sample_value
    assert value("gpulab_worker_gpu_sessions", {"state": "training"}) == 1
    gpu = f"GPU-{bench.gpu_of(trains)}"
    assert value("gpulab_worker_gpu_busy_ratio", {"gpu": gpu}) == 0.7
    assert value("gpulab_worker_looks_total", {"outcome": "done"}) == 62


@IN_PYTHON
def test_training_in_silence_is_told_to_the_hub_and_is_no_sign_of_a_person(bench: Bench) -> None:
    lease_id, began = bench.start("ada", 11), bench.desk.clock.now()
    bench.start("blaise", 22)
    bench.start("chen", 33, "cpu")
    bench.driver.world.processes = [Running(bench.gpu_of(lease_id), 11, 900, sm=70)]
    bench.go(40)
    assert bench.state("ada") == "training"
    told = [at for who, at in bench.hub.posted if who == "ada"]
    assert told[0] - began > timedelta(minutes=10), "while somebody is there, nothing is posted"
    assert told[1] - told[0] == timedelta(minutes=5)
    assert bench.desk.clock.now() - told[-1] < timedelta(minutes=5)
    assert {who for who, _ in bench.hub.posted} == {"ada"}, "the others compute nothing"
    bench.driver.world.processes[0].sm = 0
    bench.go(31)
    assert bench.desk.books.lease(lease_id).lease.stop_reason == "idle"


@IN_PYTHON
def test_a_session_without_a_gpu_that_computes_is_told_to_the_hub(bench: Bench) -> None:
    bench.start("chen", 33, "cpu")
    bench.go(15, cpu_cores=0.9)
    assert {who for who, _ in bench.hub.posted} == {"chen"}
    assert bench.state("chen") == "", "what it does is no matter of GPUs"


@IN_PYTHON
@pytest.mark.parametrize("trouble", ["hub", "driver", "process", "declared", "not seen"])
def test_idle_never_on_missing_data(bench: Bench, trouble: str) -> None:
    lease_id = bench.start("ada", 11)
    world = bench.driver.world
    if trouble == "hub":
        bench.hub.is_away = True
    elif trouble == "driver":
        world.fails = {"nvmlDeviceGetCount_v2": 999}
    elif trouble == "process":
        # The session's own process, under a number that means nothing here.
        world.processes = [Running(bench.gpu_of(lease_id), 4711, 900)]
    elif trouble == "declared":
        bench.watch = bench.watching(DeclaredGpus([]))
    else:
        bench.owners.clear()
    bench.go(45)
    assert bench.state("ada") == "unknown"
    assert bench.released == []
    assert bench.desk.books.lease(lease_id).lease.state == "active"


@IN_PYTHON
def test_idle_negative_control_of_missing_data(bench: Bench) -> None:
    lease_id = bench.start("ada", 11)
    bench.go(45)
    assert bench.desk.books.lease(lease_id).lease.stop_reason == "idle"


@IN_PYTHON
def test_a_mistake_of_ours_ends_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.watch, "look", lambda: 1 / 0)
    with capture_logs() as logs:
        bench.watch.try_look()
    assert [one["event"] for one in logs if one.get("alarm")] == ["look_broken"]


# -- P26: sessions that the hub has forgotten -----------------------------------------------------


def _alarms(bench: Bench, seconds: int) -> list[str]:
    with capture_logs() as logs:
        bench.desk.go(every_s=15, seconds=seconds)
        bench.watch.try_look()
    return [one["event"] for one in logs if one.get("alarm")]


def _forgotten(bench: Bench) -> float | None:
    return bench.metrics.registry.get_sample_value("gpulab_worker_forgotten_sessions")


@IN_PYTHON
def test_p26_a_session_that_the_hub_forgets_is_told_of_at_the_second_look(bench: Bench) -> None:
    lease_id = bench.start("ada", 11)
    bench.start("blaise", 22)
    assert _alarms(bench, 15) == []
    del bench.hub.signs["ada"]
    assert _alarms(bench, 15) == [], "it may just be ending"
    assert _alarms(bench, 0) == [], "an event woke the worker: that is the same moment"
    assert _alarms(bench, 15) == ["session_forgotten"]
    assert _forgotten(bench) == 1
    assert _alarms(bench, 15) == [], "once"
    account = bench.desk.books.account("ada")
    (notice,) = account.notices
    assert notice.lease_id == lease_id
    assert "so you cannot open it. It still runs and is charged." in notice.text
    assert account.sessions[0].lease.state == "active", "what runs goes on"
    bench.desk.books.stop_lease(lease_id, "person")
    assert _alarms(bench, 15) == []
    assert _forgotten(bench) == 0


@IN_PYTHON
@pytest.mark.parametrize("why", ["away", "starting", "back", "ended"])
def test_p26_what_the_hub_has_not_forgotten_is_no_alarm(bench: Bench, why: str) -> None:
    lease_id = bench.start("ada", 11)
    seen_at = bench.hub.signs.pop("ada") if why != "starting" else bench.desk.clock.now()
    if why == "away":
        bench.hub.is_away = True
    elif why == "starting":
        bench.hub.starting = {"ada"}
    else:
        assert _alarms(bench, 15) == []
        bench.hub.signs["ada"] = seen_at
    if why == "ended":
        del bench.hub.signs["ada"]
        bench.desk.books.stop_lease(lease_id, "person")
    assert [_alarms(bench, 15) for _ in range(4)] == [[]] * 4
    assert _forgotten(bench) == 0
    assert bench.desk.books.account("ada").notices == ()


@IN_PYTHON
@pytest.mark.parametrize("sm", [70, 0], ids=["trains", "idle"])
def test_p26_a_forgotten_session_goes_on_only_as_long_as_it_computes(
    bench: Bench, sm: int
) -> None:
    lease_id = bench.start("ada", 11)
    bench.driver.world.processes = [Running(bench.gpu_of(lease_id), 11, 900, sm=sm)]
    bench.go(5)
    del bench.hub.signs["ada"]
    bench.go(40)
    lease = bench.desk.books.lease(lease_id).lease
    assert (lease.state, lease.stop_reason) == (("active", None) if sm else ("ended", "idle"))
