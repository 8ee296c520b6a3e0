"""Where a start goes: POST to container, to a server that answers, to ready; against `docker run`.

Both run the same container, in turn: once from the hub's REST API, once from the engine's alone.
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import docker
import httpx2

from benchmarks.common import Figure, median, report
from lab.trial.running import RunningLab
from lab.trial.text import lab_text
from lab.trial.visitor import Visitor
from lab.trial.waiting import wait_for

# The issue's: no more than a third above what the container alone takes.
_TARGET = 1.35
_ROUNDS = 10
_LOOK_EVERY_S = 0.02
_PHASES = ("asked", "created", "started", "answers", "ready")


def main(arguments: Sequence[str]) -> int:
    """Measure, and print each phase's median."""
    parser = argparse.ArgumentParser(prog="benchmarks spawn_phases")
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    rounds = parser.parse_args(arguments).rounds
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gpulab-phases-")))
        hub_id = f"bench-{uuid4().hex[:8]}"
        lab = stack.enter_context(
            RunningLab(folder, text=lab_text(hours="100"), spawner="docker", hub_id=hub_id)
        )
        client = docker.APIClient(version="auto", timeout=60)
        stack.callback(client.close)
        ada = lab.logged_in("ada")
        seen = stack.enter_context(_events(client, hub_id))
        lab_starts, plain_starts = [], []
        for number in range(rounds + 1):
            phases, body = _start_by_hub(ada, client, seen)
            plain = _start_by_engine(client, body)
            if number == 0:
                continue  # both caches are warm from here on
            lab_starts.append(phases)
            plain_starts.append(plain)
            print(f"{number}/{rounds}: hub {phases['ready']:.2f} s, docker run {plain:.2f} s",
                  flush=True)  # fmt: skip
    _print_phases(lab_starts)
    value, limit = median([one["ready"] for one in lab_starts]), median(plain_starts)
    print(f"docker run {min(plain_starts):.2f}-{max(plain_starts):.2f} s, hub "
          f"{min(one['ready'] for one in lab_starts):.2f}-"
          f"{max(one['ready'] for one in lab_starts):.2f} s")  # fmt: skip
    ratio = value / limit
    return report(Figure(bench="spawn-against-docker-run", value=value, unit="s", limit=limit,
                         ratio=ratio, target=_TARGET, ok=ratio <= _TARGET))  # fmt: skip


def _print_phases(starts: list[dict[str, float]]) -> None:
    for before, after in pairwise(_PHASES):
        took = [one[after] - one[before] for one in starts]
        print(f"{before} to {after}: {median(took):.2f} s ({min(took):.2f}-{max(took):.2f})")


@contextmanager
def _events(client: Any, hub_id: str) -> Iterator[dict[str, tuple[str, float]]]:
    """Note when the engine says that a container was created and started, by its own clock."""
    seen: dict[str, tuple[str, float]] = {}
    filters = {"type": "container", "label": f"gpulab.hub={hub_id}",
               "event": ["create", "start"]}  # fmt: skip
    stream = client.events(decode=True, filters=filters)

    def read() -> None:
        for event in stream:
            seen[event["Action"]] = (event["id"], event["timeNano"] / 1e9)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stream.close()


def _start_by_hub(
    ada: Visitor, client: Any, seen: dict[str, tuple[str, float]]
) -> tuple[dict[str, float], dict[str, Any]]:
    seen.clear()
    asked = time.time()
    ready = []

    def ask() -> None:
        # The answer comes when it is ready, or after ten seconds.
        ada.start("cpu")
        ready.append(time.time())

    asking = threading.Thread(target=ask)
    asking.start()
    container, started = wait_for("the start", lambda: seen.get("start"), within_s=60,
                                  every_s=_LOOK_EVERY_S)  # fmt: skip
    found = client.inspect_container(container)
    (address,) = found["NetworkSettings"]["Networks"].values()
    answers = _wait_answers(address["IPAddress"])
    asking.join()
    ada.stop()
    instants = (asked, seen["create"][1], started, answers, ready[0])
    phases = {name: at - asked for name, at in zip(_PHASES, instants, strict=True)}
    return phases, found


def _start_by_engine(client: Any, found: dict[str, Any]) -> float:
    """Run the hub's container as `docker run` does, without the labels that make it the lab's."""
    config, host = found["Config"], found["HostConfig"]
    host = {name: value for name, value in host.items() if value is not None}
    began = time.time()
    made = client.create_container_from_config(
        {"Image": config["Image"], "Cmd": config["Cmd"], "Env": config["Env"], "HostConfig": host}
    )["Id"]
    try:
        client.start(made)
        (address,) = client.inspect_container(made)["NetworkSettings"]["Networks"].values()
        return _wait_answers(address["IPAddress"]) - began
    finally:
        client.remove_container(made, force=True)


def _wait_answers(ip: str) -> float:
    """Wait until the server says its version; return when."""
    with httpx2.Client(trust_env=False, timeout=5) as client:

        def answers() -> bool:
            try:
                return client.get(f"http://{ip}:8888/user/ada/api").status_code == 200
            except httpx2.HTTPError:
                return False

        wait_for("the server", answers, within_s=60, every_s=_LOOK_EVERY_S)
    return time.time()
