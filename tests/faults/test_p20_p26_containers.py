"""P20, P22, P25, P26, P30: containers that die in every way, and an engine in trouble.

Real containers under a real worker; the engine's own events, kept by a program of its own, are the
witness.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine as Database
from structlog.testing import capture_logs

from api.runtimes import docker as docker_runtime
from lab.engine import engine_socket
from lab.trial.waiting import wait_for
from quota.errors import BooksUnavailable
from tests.engine import Engine, throwaway_engine
from tests.faults.containers import RUNS, ContainerLab, container_lab
from tests.faults.trouble import Trouble, troubled_engine
from tests.faults.witness import (
    SAME_WITHIN_MS,
    Ran,
    Record,
    charged_spans,
    differences,
    lease_row,
    recorder,
)

pytestmark = [
    pytest.mark.docker,
    # The client leaves the socket of a connection that failed to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

# One look of the worker: what nobody wrote down counts to the last moment it was seen.
_LOOK_MS = 15_000


@dataclass
class Scene:
    """A lab on a socket that can be brought into trouble, and a witness beside it."""

    lab: ContainerLab
    trouble: Trouble
    record: Record

    def ran(self, *lease_ids: UUID) -> dict[UUID, Ran]:
        """Return what the witness saw; the sessions have to be over."""

        def seen() -> dict[UUID, Ran]:
            found = self.record.read()
            return {one: found[one] for one in lease_ids} if {*lease_ids} <= {*found} else {}

        return wait_for("the witness' word", seen, within_s=20)

    def agrees(self, *lease_ids: UUID, end_within_ms: int = SAME_WITHIN_MS) -> None:
        ran = self.ran(*lease_ids)
        found = differences(ran, charged_spans(self.lab.books_engine),
                            end_within_ms=end_within_ms)  # fmt: skip
        assert not found, found


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with throwaway_engine() as engine:
        yield engine


@pytest.fixture(scope="module")
def record(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Record]:
    out = tmp_path_factory.mktemp("witness") / "record.jsonl"
    with recorder("docker", engine.hub_id, out) as record:
        yield record


@pytest.fixture
def scene(
    engine: Engine, record: Record, database: Database, tmp_path: Path
) -> Iterator[Scene]:  # fmt: skip
    socket = engine_socket(os.environ)
    assert socket is not None
    with (
        troubled_engine(tmp_path, socket) as trouble,
        container_lab(database, engine.client, engine.hub_id, tmp_path, url=trouble.url) as lab,
    ):
        yield Scene(lab, trouble, record)


# -- P25 --------------------------------------------------------------------------------------


def _exits(_scene: Scene, _ref: str) -> None:
    """Its own script ends it."""


def _removed_by_root(scene: Scene, ref: str) -> None:
    scene.lab.client.remove_container(ref, force=True)


def _first_process_killed(scene: Scene, ref: str) -> None:
    os.kill(scene.lab.client.inspect_container(ref)["State"]["Pid"], signal.SIGKILL)


_DEATHS: list[Any] = [
    ("sleep 0.5; exit 1", {}, _exits),
    ("sleep 0.5; exec tail /dev/zero", {"mem_limit": "32m", "memswap_limit": "32m"}, _exits),
    (RUNS, {}, _removed_by_root),
    (RUNS, {}, _first_process_killed),
]


@pytest.mark.parametrize(
    ("script", "host", "die"), _DEATHS, ids=["exit 1", "out of memory", "rm -f", "kill -9"]
)
def test_p25_however_a_container_dies_its_lease_ends_with_it(
    scene: Scene, script: str, host: dict[str, str], die: Callable[[Scene, str], None]
) -> None:
    lab = scene.lab
    lease_id, ref = lab.start(script=script, **host)
    lab.tick()
    assert lab.state(lease_id) == "active"
    die(scene, ref)
    wait_for("its death", lambda: not lab.runtime.is_running(ref), within_s=20)
    # The worker looks later: it is charged for what it ran, not until it was looked at.
    time.sleep(SAME_WITHIN_MS / 1000 + 0.5)
    lab.tick()
    assert lab.state(lease_id) == "ended"
    view = lab.books.account("ada")
    assert view.sessions == ()
    assert view.available == view.balance, "the hold was given back"
    lab.tick_until("an empty engine", lambda: lab.is_gone(ref))
    is_removed = die is _removed_by_root
    scene.agrees(lease_id, end_within_ms=_LOOK_MS if is_removed else SAME_WITHIN_MS)


# -- P22 --------------------------------------------------------------------------------------


def test_p22_a_hub_that_says_stopped_is_no_proof(scene: Scene) -> None:
    lab = scene.lab
    lease_id, ref = lab.start("ada", "whole")
    lab.tick()
    scene.trouble.begin("500", r"/containers/\w+/(stop|kill)")
    # What the hub's post_stop hook tells although its own stop has failed.
    lab.books.stop_lease(lease_id, "person")
    with capture_logs() as logs:
        lab.tick()
        lab.tick()
    assert [one["event"] for one in logs if one.get("alarm")] == ["session_not_stopped"] * 2
    assert any("/stop" in line for line in scene.trouble.refused)
    assert any("/kill" in line for line in scene.trouble.refused)
    assert lab.state(lease_id) == "stopping"
    used = {gpu.uuid: gpu.used_mgpu for gpu in lab.books.load().gpus}
    assert sum(used.values()) == 1000, "its GPU is not given to anybody else"
    before = lab.books.account("ada").charged
    time.sleep(0.3)
    lab.tick()
    assert lab.books.account("ada").charged >= before
    scene.trouble.end()
    lab.tick_until("the end", lambda: lab.state(lease_id) == "ended")
    row = lease_row(lab.books_engine, lease_id)
    assert row["end_reason"] == "person"
    lab.tick_until("an empty engine", lambda: lab.is_gone(ref))
    scene.agrees(lease_id)


# -- P20 --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["500", "refused", "silent"])
def test_p20_an_engine_in_trouble_ends_no_lease_and_costs_nobody_anything(
    scene: Scene, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_runtime, "_ANSWER_S", 0.5)
    lab = scene.lab
    lab.employ()
    lease_ids = [lab.start(who)[0] for who in ("ada", "blaise")]
    lab.tick()
    scene.trouble.begin(kind)
    with capture_logs() as logs:
        for _ in range(3):
            lab.tick()
            # A new worker knows no more.
            lab.employ()
    failed = [one for one in logs if one["event"] == "tick_failed"]
    assert [one["error"] for one in failed] == ["RuntimeUnavailable"] * 3
    assert [lab.state(one) for one in lease_ids] == ["active"] * 2
    scene.trouble.end()
    lab.tick()
    assert [lab.state(one) for one in lease_ids] == ["active"] * 2, "nobody was ended"
    for one in lease_ids:
        lab.books.stop_lease(one, "person")
    lab.tick_until("the end", lambda: all(lab.state(one) == "ended" for one in lease_ids))
    scene.agrees(*lease_ids)


def test_the_control_a_worker_that_takes_silence_for_death_is_caught(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = scene.lab
    lease_id, _ = lab.start()
    lab.tick()
    monkeypatch.setattr(lab.runtime, "observe", list)
    lab.tick()
    assert lab.state(lease_id) == "ended", "as the tests above would have it not"
    assert differences({lease_id: Ran(lease_id, 0, None)}, charged_spans(lab.books_engine))


# -- P26 --------------------------------------------------------------------------------------


@pytest.mark.parametrize("flavor", ["quarter", "cpu"])
def test_p26_what_was_started_by_hand_with_our_labels_is_adopted_or_stopped(
    scene: Scene, flavor: str
) -> None:
    lab = scene.lab
    ref = lab.run(None, "blaise", flavor, RUNS)
    with capture_logs() as logs:
        lab.tick()
        lab.tick()
    assert [one["event"] for one in logs if one.get("alarm")] == ["session_adopted"]
    if flavor == "cpu":
        # It takes nothing from anybody: it goes on, with a lease.
        assert lab.runtime.is_running(ref)
        (session,) = lab.books.account("blaise").sessions
        assert session.lease.state == "active"
        lab.runtime.kill(ref)
    lab.tick_until("an empty engine", lambda: lab.is_gone(ref))
    view = lab.books.account("blaise")
    assert view.sessions == ()
    assert (view.charged.mgpu_ms > 0) == (flavor != "cpu")
    assert lab.books.check() == []


# -- P30 --------------------------------------------------------------------------------------


def test_p30_what_ends_while_the_books_are_away_is_charged_when_they_are_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = scene.lab
    ends, removed, stays = (lab.start(who) for who in ("ada", "blaise", "chen"))
    lab.tick()
    with monkeypatch.context() as away:
        _books_are_away(lab, away)
        lab.tick()
        time.sleep(SAME_WITHIN_MS / 1000 + 0.5)
        lab.tick()
        lab.client.kill(ends[1])
        lab.client.remove_container(removed[1], force=True)
        for _ in range(3):
            # Killed, and started again without any database.
            lab.employ()
            lab.tick()
        assert not lab.is_gone(ends[1]), "the engine remembers it until its use is posted"
    lab.employ()
    lab.tick()
    assert [lab.state(one[0]) for one in (ends, removed, stays)] == ["ended", "ended", "active"]
    lab.books.stop_lease(stays[0], "person")
    lab.tick_until("the end", lambda: lab.state(stays[0]) == "ended")
    # Removed by force: to the last look before.
    scene.agrees(ends[0], removed[0], stays[0])
    assert not (lab.folder / "sightings.json").exists()


def _books_are_away(lab: ContainerLab, patched: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise BooksUnavailable("the database does not answer")

    for name in ("tick", "set_inventory"):
        patched.setattr(lab.books, name, away)


# -- the witness itself -------------------------------------------------------------------------


def test_the_witness_catches_books_that_are_wrong() -> None:
    """The control: each mistake that the tests above would be there for is told."""
    lease = uuid4()
    ran = {lease: Ran(lease, 10_000, 70_000)}
    right = {lease: [(10_000, 40_000), (40_000, 70_100)]}
    assert differences(ran, right) == []
    for wrong in (
        {},
        {lease: [(10_000, 40_000)]},
        {lease: [(10_000, 40_000), (39_000, 70_000)]},
        {lease: [(10_000, 40_000), (41_000, 70_000)]},
        {lease: [(5_000, 70_000)]},
        {lease: [(10_000, 90_000)]},
        {**right, uuid4(): [(1, 2)]},
    ):
        assert differences(ran, wrong), wrong
    assert differences({lease: replace(ran[lease], gone_ms=None)}, right)
