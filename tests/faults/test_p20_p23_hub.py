"""P20 to P23, P26: a hub that dies, in an engine's trouble and in mid-spawn, or forgets.

A real lab with real containers, on an engine's socket that the test can bring into trouble. What
really ran is the word of a program of its own.
"""

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import Engine as Database
from sqlalchemy import select

from lab.engine import engine_socket
from lab.trial.running import RunningLab
from lab.trial.text import SCHOLARS, lab_text
from lab.trial.visitor import Visitor
from lab.trial.waiting import wait_for
from quota.store.engine import open_engine, reading
from quota.store.tables import leases
from tests.engine import Engine, throwaway_engine
from tests.faults.trouble import Trouble, troubled_engine
from tests.faults.witness import Record, charged_spans, differences, recorder
from tests.quota.sizes import IS_FUZZ

pytestmark = [pytest.mark.docker, pytest.mark.long, pytest.mark.timeout(7200)]

SPAWN_TIMEOUT_S = 45
# Twice the time to enforce (30 s): by then containers without a lease are adopted or stopped.
_SEEN_WITHIN_S = 60.0
# What a scholar waits for after a fault, besides what any start takes on this machine just now.
_START_WITHIN_S = 60.0
_KILLS_AT_EACH = 25 if IS_FUZZ else 2


@dataclass(frozen=True)
class Scene:
    """A lab, its engine's socket, the books opened beside it, and a witness."""

    lab: RunningLab
    engine: Engine
    trouble: Trouble
    record: Record
    books: Database
    plain_start_s: float

    @property
    def start_within_s(self) -> float:
        return _START_WITHIN_S + self.plain_start_s

    def open_leases(self) -> dict[UUID, str]:
        with reading(self.books) as tx:
            query = select(leases.c.id, leases.c.state).where(leases.c.state != "ended")
            return {row.id: row.state for row in tx.execute(query)}

    def running(self) -> dict[UUID, str]:
        return {one.lease_id: one.ref for one in self.lab.sessions() if one.lease_id}

    def kill_hub(self) -> None:
        os.kill(self.lab.pid_of("hub"), signal.SIGKILL)

    def wait_for_hub(self, visitor: Visitor, *, other_than: int, within_s: float = 90) -> None:
        def answers() -> bool:
            pid = self.lab.pid_of("hub")
            return pid not in (0, other_than) and _try(visitor.server, "away") != "away"

        wait_for("another hub", answers, within_s=within_s, every_s=0.3)

    def agrees(self) -> None:
        """The witness and the books say the same of all sessions that are over."""
        wait_for("closed books", lambda: not self.open_leases(), within_s=90, every_s=0.5)
        wait_for("the witness", lambda: charged_spans(self.books).keys()
                 <= self.record.read().keys(), within_s=20)  # fmt: skip
        with reading(self.books) as tx:
            free = {row.id for row in tx.execute(
                select(leases.c.id).where(leases.c.weight_mgpu == 0))}  # fmt: skip
        ran = {key: one for key, one in self.record.read().items() if key not in free}
        found = differences(ran, charged_spans(self.books))
        assert not found, found


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("hub")
    socket = engine_socket(os.environ)
    assert socket is not None
    text = lab_text(hours="100", gpus=4, policy={"spawn_timeout_s": SPAWN_TIMEOUT_S})
    with (
        throwaway_engine() as engine,
        troubled_engine(folder, socket) as trouble,
        RunningLab(folder / "lab", text=text, spawner="docker", hub_id=engine.hub_id,
                   environment={"DOCKER_HOST": trouble.url}) as lab,
        recorder("docker", engine.hub_id, folder / "record.jsonl") as record,
    ):  # fmt: skip
        books = open_engine(f"sqlite:///{lab.state.root / 'books.sqlite'}")
        yield Scene(lab, engine, trouble, record, books, _plain_start_s(lab))
        books.dispose()


def _plain_start_s(lab: RunningLab) -> float:
    visitor = lab.logged_in("emeka")
    began = time.monotonic()
    visitor.start("cpu", within_s=180)
    took_s = time.monotonic() - began
    visitor.stop(within_s=60)
    wait_for("an empty runtime", lambda: not lab.sessions(), within_s=60)
    print(f"a plain start takes {took_s:.1f} s")
    return took_s


def _try(ask: Callable[[], Any], otherwise: Any) -> Any:
    try:
        return ask()
    except (httpx2.HTTPError, ValueError, KeyError, AttributeError):
        return otherwise


def _people(scene: Scene, names: tuple[str, ...] = SCHOLARS) -> list[Visitor]:
    people = [scene.lab.logged_in(name) for name in names]
    for one in people:
        assert one.token
    return people


def _stop_all(scene: Scene, people: list[Visitor]) -> None:
    for one in people:
        one.stop(within_s=60)
    wait_for("an empty runtime", lambda: not scene.running(), within_s=60)


# -- P20 --------------------------------------------------------------------------------------


def test_p20_a_hub_that_starts_while_the_engine_is_in_trouble_loses_nobody(scene: Scene) -> None:
    people = _people(scene)
    for one in people:
        one.start("quarter-gpu", within_s=90)
    before = scene.running()
    assert len(before) == len(people)
    for kind in ("500", "refused"):
        scene.trouble.begin(kind)
        pid = scene.lab.pid_of("hub")
        scene.kill_hub()
        scene.wait_for_hub(people[0], other_than=pid)
        time.sleep(5)
    assert scene.trouble.refused, "the hub did ask"
    scene.trouble.end()
    assert scene.running() == before, "each container goes on"
    healed_at = time.monotonic()
    wait_for("a hub that knows all", lambda: all(_try(one.is_running, False) for one in people),
             within_s=scene.start_within_s)  # fmt: skip
    print(f"all shown as running {time.monotonic() - healed_at:.1f} s after the trouble")
    assert scene.running() == before
    states = scene.open_leases()
    assert {key: states.get(key) for key in before} == dict.fromkeys(before, "active")
    for one in people:
        one.stop(within_s=60)
        one.start("quarter-gpu", within_s=scene.start_within_s)
    _stop_all(scene, people)
    scene.agrees()


# -- P21 --------------------------------------------------------------------------------------


def test_p21_a_hub_that_restarts_spares_servers_that_do_not_answer(scene: Scene) -> None:
    people = _people(scene, SCHOLARS[:2])
    for one in people:
        one.start("quarter-gpu", within_s=90)
    before = scene.running()
    for ref in before.values():
        scene.engine.client.pause(ref)
    pid = scene.lab.pid_of("hub")
    scene.kill_hub()
    scene.wait_for_hub(people[0], other_than=pid)
    time.sleep(60)
    assert scene.running() == before
    for ref in before.values():
        scene.engine.client.unpause(ref)
    wait_for("a hub that shows them", lambda: all(_try(one.is_running, False) for one in people),
             within_s=90)  # fmt: skip
    assert scene.running() == before
    assert people[0].run_cell("print(2 + 2)") == "4\n"
    states = scene.open_leases()
    assert {key: states.get(key) for key in before} == dict.fromkeys(before, "active")
    _stop_all(scene, people)
    scene.agrees()


# -- P22 --------------------------------------------------------------------------------------


def test_p22_a_stop_that_the_engine_refuses_keeps_the_lease_open(scene: Scene) -> None:
    (ada,) = _people(scene, ("ada",))
    ada.start("whole-gpu", within_s=90)
    ((lease_id, ref),) = scene.running().items()
    scene.trouble.begin("500", r"/containers/[^/]+/(stop|kill)")
    reply = ada.api("DELETE", "/users/ada/server")
    # 500 where the engine's refusal reaches the hub at once.
    assert reply.status_code in (202, 204, 500), reply.text
    wait_for("the hub's word to the books",
             lambda: scene.open_leases().get(lease_id) == "stopping", within_s=60)  # fmt: skip
    until = time.monotonic() + 10
    while time.monotonic() < until:
        assert scene.running() == {lease_id: ref}
        assert scene.open_leases() == {lease_id: "stopping"}
        time.sleep(0.5)
    assert '"session_not_stopped"' in scene.lab.log_of("worker"), "somebody is told"
    scene.trouble.end()
    wait_for("the end", lambda: not scene.running(), within_s=60)
    wait_for("a hub that knows of it", lambda: ada.server() is None, within_s=60)
    ada.start("quarter-gpu", within_s=scene.start_within_s)
    _stop_all(scene, [ada])
    scene.agrees()


# -- P26 --------------------------------------------------------------------------------------


def test_p26_a_session_that_the_hub_has_forgotten_locks_nobody_out(scene: Scene) -> None:
    """Its row is gone from the hub's database, as after a backup is put back."""
    (ada,) = _people(scene, ("ada",))
    ada.start("quarter-gpu", within_s=90)
    ((forgotten, _),) = scene.running().items()
    pid = scene.lab.pid_of("hub")
    scene.lab.supervisor.stop("hub")
    with closing(sqlite3.connect(scene.lab.state.root / "hub.sqlite")) as rows, rows:
        rows.execute("UPDATE spawners SET server_id = NULL, state = '{}'")
    scene.lab.supervisor.start("hub")
    scene.wait_for_hub(ada, other_than=pid)
    assert ada.server() is None
    assert scene.running().keys() == {forgotten}
    wait_for("an alarm", lambda: '"session_forgotten"' in scene.lab.log_of("worker"),
             within_s=_SEEN_WITHIN_S)  # fmt: skip
    assert scene.open_leases() == {forgotten: "active"}, "what runs is charged all the same"
    asked_at = time.monotonic()
    ada.start("quarter-gpu", within_s=scene.start_within_s)
    print(f"another session after {time.monotonic() - asked_at:.1f} s")
    assert forgotten not in scene.running(), "two would be one too many"
    _stop_all(scene, [ada])
    scene.agrees()


# -- P23 --------------------------------------------------------------------------------------


def _asked(scene: Scene, kill: Callable[[], None]) -> None:
    """The hub has only just been asked."""
    kill()


def _admitted(scene: Scene, kill: Callable[[], None]) -> None:
    """The books have a hold."""
    wait_for("a hold", lambda: "held" in scene.open_leases().values(), within_s=30, every_s=0.005)
    kill()


def _at(requests: str, *, after: bool) -> Callable[[Scene, Callable[[], None]], None]:
    """The hub's request to the engine is on its way, or is answered."""

    def point(scene: Scene, kill: Callable[[], None]) -> None:
        scene.trouble.once(requests, kill, after=after)

    return point


def _looking(scene: Scene, kill: Callable[[], None]) -> None:
    """The container runs, and the hub asks for its address."""

    def started() -> None:
        scene.trouble.once(r"^GET .*/containers/[^/]+/json", kill, after=False)

    scene.trouble.once(r"^POST .*/start", started, after=True)


def _waiting(scene: Scene, kill: Callable[[], None]) -> None:
    """The hub waits for the server to answer."""
    wait_for("a container", scene.running, within_s=30, every_s=0.05)
    time.sleep(1)
    kill()


POINTS = {
    "asked": _asked,
    "admitted": _admitted,
    "before create": _at(r"^POST .*/containers/create", after=False),
    "after create": _at(r"^POST .*/containers/create", after=True),
    "before start": _at(r"^POST .*/start", after=False),
    "after start": _at(r"^POST .*/start", after=True),
    "looking": _looking,
    "waiting": _waiting,
}


@pytest.mark.parametrize("point", POINTS, ids=lambda one: one.replace(" ", "-"))
def test_p23_a_hub_killed_in_mid_spawn_leaves_no_riddle(scene: Scene, point: str) -> None:
    (ada,) = _people(scene, ("ada",))
    for _ in range(_KILLS_AT_EACH):
        _kill_once(scene, ada, POINTS[point])
    scene.agrees()


def _kill_once(
    scene: Scene, ada: Visitor, point: Callable[[Scene, Callable[[], None]], None]
) -> None:
    pid = scene.lab.pid_of("hub")
    killed = threading.Event()

    def kill() -> None:
        os.kill(pid, signal.SIGKILL)
        killed.set()

    # A request's own point is set before anybody asks.
    if point not in (_asked, _admitted, _waiting):
        point(scene, kill)
    asking = threading.Thread(target=lambda: _try(lambda: ada.spawn("quarter-gpu"), None))
    asking.start()
    if point in (_asked, _admitted, _waiting):
        time.sleep(0.05)
        point(scene, kill)
    assert killed.wait(60), "the point was not reached"
    asking.join(timeout=60)
    scene.wait_for_hub(ada, other_than=pid)
    back_at = time.monotonic()
    wait_for("a lease for each container", lambda: scene.running().keys()
             <= scene.open_leases().keys(), within_s=_SEEN_WITHIN_S)  # fmt: skip
    _starts_again(scene, ada)
    print(f"{time.monotonic() - back_at:.1f} s from the new hub to a session")
    ada.stop(within_s=60)
    wait_for("an empty runtime", lambda: not scene.running(), within_s=_SEEN_WITHIN_S)
    wait_for("no hold without a container", lambda: not scene.open_leases(),
             within_s=SPAWN_TIMEOUT_S + _SEEN_WITHIN_S)  # fmt: skip


def _starts_again(scene: Scene, ada: Visitor) -> None:
    """Whoever was cut off has a session within a minute: the one begun, or another."""

    def runs() -> bool:
        if _try(ada.is_running, False):
            return True
        if _try(ada.server, {}) is None:
            _try(lambda: ada.spawn("quarter-gpu"), None)
        return False

    wait_for("a session", runs, within_s=scene.start_within_s, every_s=0.5)
