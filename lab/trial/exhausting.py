"""Sessions that run out one after the other while a program of the lab is in trouble."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import httpx2
import psutil

from api.deadlines import read_deadlines
from lab.trial.running import RunningLab
from lab.trial.text import lab_text
from lab.trial.waiting import wait_for
from quota.reconcile import STOP_WITHIN

# The policy's defaults, not the trial's small numbers.
NUMBERS = {"tick_s": 15, "grace_s": 20, "hold_step_s": 600, "minimum_start_s": 30,
           "spawn_timeout_s": 600, "max_spawning": 4}  # fmt: skip
# How many seconds at a quarter of a GPU the first one has, and how far the ends are apart.
_FIRST_S = 60
_APART_S = 2
# Until all run they cost next to nothing, so that it does not matter how long that takes.
_COSTS, _COSTS_NOTHING = "weight_mgpu: 250", "weight_mgpu: 2"
_STARTS_AT_ONCE = 4
_SOON = timedelta(hours=1)
_ASKING_AT_ONCE = 6


def names_of(count: int) -> tuple[str, ...]:
    """Name so many scholars."""
    return tuple(f"s{number:02d}" for number in range(count))


def exhausting_text(count: int) -> str:
    """Write a lab in which nobody has hours but by a grant, and nobody has to wait."""
    text = lab_text(hours="0", gpus=-(-count // 4), policy=NUMBERS, scholars=names_of(count))
    assert text.count(_COSTS) == 1
    return text.replace(_COSTS, _COSTS_NOTHING)


def start_all(lab: RunningLab, count: int) -> Mapping[UUID, datetime]:
    """Grant each scholar some seconds and start their sessions.

    When this returns all run and none has long: until when each is paid, by the worker's note.
    """
    organizer = lab.logged_in("olga").token
    people = [lab.logged_in(name) for name in names_of(count)]
    for number, one in enumerate(people):
        _grant(lab, organizer, one.name, (_FIRST_S + number * _APART_S) / 4)
    with ThreadPoolExecutor(_STARTS_AT_ONCE) as pool:
        for done in [pool.submit(one.start, "quarter-gpu", within_s=180) for one in people]:
            done.result()
    lab.lab_file.write_text(lab.lab_file.read_text().replace(_COSTS_NOTHING, _COSTS))
    promised = wait_for("an end for all", lambda: _ends(lab, count), within_s=30, every_s=0.5)
    assert len(lab.sessions()) == count
    return promised


def _ends(lab: RunningLab, count: int) -> Mapping[UUID, datetime]:
    note = read_deadlines(lab.state.root / "deadlines.json")
    if note is None:
        return {}
    found = {UUID(one.lease_id): one.deadline - STOP_WITHIN
             for one in note.sessions if one.deadline - note.written_at < _SOON}  # fmt: skip
    return found if len(found) == count else {}


def _grant(lab: RunningLab, token: str, name: str, seconds: float) -> None:
    body = {"hub_id": lab.hub_id, "account": name, "hours": f"{seconds:g} s", "reason": "trial"}
    reply = lab.service("PUT", f"/v1/grants/{uuid4()}", token=token, json=body)
    assert reply.status_code == 200, reply.text


@contextmanager
def nothing_wrong(_lab: RunningLab) -> Iterator[None]:
    """Everything runs."""
    yield


@contextmanager
def busy_hub(lab: RunningLab) -> Iterator[None]:
    """People ask the hub for more than it can answer."""
    token = (lab.state.secrets / "service_token").read_text().strip()
    over = threading.Event()

    def ask() -> None:
        headers = {"Authorization": f"token {token}"}
        address = f"http://127.0.0.1:{lab.port}/hub/api/users"
        host = {"Host": lab.address.split("://")[1]}
        with httpx2.Client(timeout=60, trust_env=False, headers=headers | host) as client:
            while not over.is_set():
                try:
                    client.get(address)
                except httpx2.HTTPError:
                    over.wait(0.1)

    threads = [threading.Thread(target=ask) for _ in range(_ASKING_AT_ONCE)]
    for one in threads:
        one.start()
    try:
        yield
    finally:
        over.set()
        for one in threads:
            one.join()


@contextmanager
def stopped_hub(lab: RunningLab) -> Iterator[None]:
    """The hub answers nobody: SIGSTOP."""
    pid = lab.pid_of("hub")
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def stopped_programs(lab: RunningLab, *names: str) -> Iterator[None]:
    """Programs are dead, and nobody starts them again."""
    for name in names:
        lab.supervisor.stop(name)
    try:
        yield
    finally:
        for name in names:
            lab.supervisor.start(name)


TROUBLES: Mapping[str, Callable[[RunningLab], AbstractContextManager[None]]] = {
    "idle": nothing_wrong,
    "busy-hub": busy_hub,
    "hub-stopped": stopped_hub,
    "proxy-dead": lambda lab: stopped_programs(lab, "proxy"),
    "service-dead": lambda lab: stopped_programs(lab, "service"),
    "all-dead": lambda lab: stopped_programs(lab, "worker", "service", "hub"),
}


def load_of(pid: int, *, for_s: float) -> float:
    """Return how busy a process is, as a share of one core."""
    return psutil.Process(pid).cpu_percent(interval=for_s) / 100
