"""What the driver tells of each session's use of its GPU: from nvidia-ml-py to the pages."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine

from api.gpus.declared import DeclaredGpus
from api.gpus.states import Look
from api.gpus.uses import Measuring, with_measured
from tests.api.desk import ApiDesk
from tests.gpu.bench import Bench
from tests.gpu.conftest import IN_PYTHON, Driver
from tests.gpu.world import Card, Instance, Running
from tests.pages.browser import browser_of, open_pages
from tests.quota.memory import engine_in_memory

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
GAP = timedelta(minutes=1)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with engine_in_memory(tmp_path) as engine:
        yield engine


@pytest.fixture
def service(engine: Engine, tmp_path: Path) -> Iterator[ApiDesk]:
    with open_pages(engine, tmp_path / "lab") as desk:
        yield desk


@pytest.fixture
def bench(service: ApiDesk, driver: Driver) -> Bench:
    return Bench(service.books, driver)


def told(service: ApiDesk, who: str) -> dict[str, Any]:
    found: dict[str, Any] = service.get(f"/v1/accounts/{who}").json()["sessions"][0]["gpu_state"]
    return found


def row(page: str, who: str) -> str:
    """The line of a scholar in a table."""
    found = re.search(rf"<tr>(?:(?!</tr>).)*>{who}</a>.*?</tr>", page, re.DOTALL)
    assert found, who
    return found[0]


def test_what_the_driver_says_of_each_session_is_on_the_pages(
    service: ApiDesk, bench: Bench
) -> None:
    ada, blaise = bench.start("ada", 11), bench.start("blaise", 22)
    bench.owners[12] = bench.owners[11]
    bench.driver.world.processes = [
        Running(bench.gpu_of(ada), 11, 2048, sm=40), Running(bench.gpu_of(ada), 12, 1126, sm=23),
        Running(bench.gpu_of(blaise), 22, 512)]  # fmt: skip
    bench.go(3)
    page = browser_of(service, "token-ada").get("hours/now").text
    assert "<dt>GPU use</dt><dd>63 % of the time, 3.1 of 16 GiB held</dd>" in page
    assert "GPU use by the minute: 63 % on average over 3 min" in page
    live = re.search(r'data-use="([^"]+)"', page)
    assert live
    assert json.loads(unescape(live[1]))["percents"] == [None, 63, 63]
    tomas, olga = browser_of(service, "token-tomas"), browser_of(service, "token-olga")
    for table in (tomas.get("section/utc").text, olga.get("program/sessions/live").text):
        assert "63 %, 3.1 GiB" in row(table, "ada")
        assert "0 %, 0.5 GiB" in row(table, "blaise")
    assert "GPU use: 63 % of the time, 3.1 of 16 GiB" in tomas.get("section/utc/people/ada").text
    assert "GPU use: 63 % of the time, 3.1 of 16 GiB" in olga.get("program/people/ada").text
    assert (told(service, "ada")["busy_ratio"], told(service, "ada")["held_mib"]) == (0.63, 3174)
    assert (told(service, "blaise")["busy_ratio"], told(service, "blaise")["held_mib"]) == (0, 512)


def _parts(bench: Bench, trouble: str, lease_id: UUID) -> None:
    world = bench.driver.world
    world.processes = [Running(bench.gpu_of(lease_id), 11, 900, sm=70)]
    if trouble == "virtual":
        bench.watch = bench.watching(DeclaredGpus([]))
    elif trouble == "driver":
        world.fails = {"nvmlDeviceGetCount_v2": 999}
    elif trouble == "mps":
        world.mps = [(0, 99), (1, 99)]
    else:
        world.processes.append(Running(bench.gpu_of(lease_id), 4711, 900, sm=20))


@IN_PYTHON
@pytest.mark.parametrize("trouble", ["virtual", "driver", "mps", "stranger"])
def test_what_is_not_measured_is_no_number(service: ApiDesk, bench: Bench, trouble: str) -> None:
    lease_id = bench.start("ada", 11)
    _parts(bench, trouble, lease_id)
    bench.go(3)
    page = browser_of(service, "token-ada").get("hours/now").text
    assert "<dt>GPU use</dt><dd>not measured: it is a virtual GPU</dd>" in page
    assert "data-use" not in page
    assert "not measured" in row(browser_of(service, "token-tomas").get("section/utc").text, "ada")
    assert (told(service, "ada")["busy_ratio"], told(service, "ada")["held_mib"]) == (None, None)


def test_an_instance_of_mig_has_memory_and_no_time(service: ApiDesk, bench: Bench) -> None:
    lease_id = bench.start("ada", 11)
    number = bench.gpu_of(lease_id)
    instances = [Instance("MIG 1g.10gb", "GPU-0", 0), Instance("MIG 1g.10gb", "GPU-1", 1)]
    bench.driver.world.cards = [Card("H100", "GPU-h", 81920, instances=instances)]
    bench.driver.world.processes = [Running(0, 11, 3174, instance=number)]
    bench.go(3)
    page = browser_of(service, "token-ada").get("hours/now").text
    assert "<dd>time not measured, 3.1 of 16 GiB held</dd>" in page
    assert "data-use" not in page
    assert (told(service, "ada")["busy_ratio"], told(service, "ada")["held_mib"]) == (None, 3174)


@IN_PYTHON
def test_a_worker_that_starts_anew_goes_on_with_the_minutes_of_the_books(
    service: ApiDesk, bench: Bench
) -> None:
    lease_id = bench.start("ada", 11)
    bench.driver.world.processes = [Running(bench.gpu_of(lease_id), 11, 900, sm=70)]
    bench.go(3)
    bench.watch = bench.watching(bench.driver.follow())
    bench.go(2)
    state = service.books.books.account("ada").sessions[0].state
    assert state is not None
    assert state.use is not None
    assert state.use.minutes == (None, 70, 70, None, 70), "its first look is of the past"


def look(s: float, percent: float | None) -> Look:
    return Look(at=NOON + timedelta(seconds=s), has_gpu_process=True, sm_percent=percent,
                cpu_cores=0.0, held_mib=900)  # fmt: skip


def measured(*looks: tuple[float, float | None]) -> Measuring:
    found = None
    for s, percent in looks:
        found = with_measured(found, look(s, percent), longest_gap=GAP)
    assert found is not None
    return found


def test_a_minute_is_the_mean_of_its_looks() -> None:
    found = measured((0, None), (15, 40), (30, 41.4), (45, 90), (61, 10.6)).use
    assert found.minutes == (57, 11)
    assert (found.busy_percent, found.held_mib) == (11, 900)


def test_slow_looks_speak_for_the_minutes_between_unless_the_gap_is_long() -> None:
    assert measured((0, 40), (60, 50), (119, 70)).use.minutes == (40, 60)
    slow = with_measured(measured((0, 40)), look(240, 80), longest_gap=timedelta(minutes=8))
    assert slow.use.minutes == (40, 80, 80, 80, 80)
    assert measured((0, 40), (240, 80)).use.minutes == (40, None, None, None, 80)


def test_a_clock_set_back_begins_anew() -> None:
    assert measured((600, 40), (0, 50)).use.minutes == (50,)
