"""POST to ready with the lab, against the same spawner in a plain JupyterHub, A B A B."""

import argparse
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import httpx2

from benchmarks.common import Figure, median, report
from lab.checks import find_proxy
from lab.network import ensure_network
from lab.trial.leavings import remove_leavings
from lab.trial.running import RunningLab
from lab.trial.text import lab_text
from lab.trial.waiting import free_ports, wait_for

_TARGET = 1.05
_ROUNDS = 10
_LOOK_EVERY_S = 0.05

# A JupyterHub as its documentation sets it up, with the lab's own spawner and nothing else of it.
_PLAIN_HUB = """
import sys
from {module} import {spawner}
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_bind_url = "http://{hub_host}:{hub_port}"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_port}"
c.ConfigurableHTTPProxy.command = {proxy!r}
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.services = [{{"name": "bench", "api_token": "{token}"}}]
c.JupyterHub.load_roles = [
    {{"name": "bench", "services": ["bench"], "scopes": ["admin:users", "admin:servers"]}}
]
c.JupyterHub.spawner_class = {spawner}
c.Spawner.default_url = "/lab"
c.Spawner.hub_id = "{hub_id}"

def forget_lease(spawner):
    # The lab's own hook does this; without it a second start would take the first one's name.
    spawner.lease_id = ""

c.Spawner.post_stop_hook = forget_lease
{more}
"""
_PROCESS = """
c.ProcessSpawner.state_dir = "{folder}"
c.ProcessSpawner.cmd = [sys.executable, "-m", "jupyterhub.singleuser"]
"""
_DOCKER = """
c.DockerSpawner.network_name = "{network}"
c.DockerSpawner.image = "gpulab/base:latest"
"""


def main(arguments: Sequence[str]) -> int:
    """Measure one runtime, or both."""
    parser = argparse.ArgumentParser(prog="benchmarks spawn")
    parser.add_argument("--spawner", choices=("process", "docker"), action="append")
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    given = parser.parse_args(arguments)
    worst = 0
    for spawner in given.spawner or ("process", "docker"):
        worst = max(worst, measure(spawner, given.rounds))
    return worst


def measure(spawner: str, rounds: int) -> int:
    """Run both hubs at once, and start in turn in one and the other."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gpulab-spawn-")))
        hub_id = f"bench-{uuid4().hex[:8]}"
        lab = stack.enter_context(
            RunningLab(folder / "lab", text=lab_text(hours="100"), spawner=spawner, hub_id=hub_id)
        )
        start_plain = stack.enter_context(_plain_hub(folder / "plain", spawner, lab))
        ada = lab.logged_in("ada")

        def start_lab() -> float:
            took_s = _timed(lambda: ada.spawn("cpu").status_code in (201, 202), ada.is_running)
            ada.stop()
            return took_s

        start_lab()
        start_plain()
        with_lab, plain = [], []
        for number in range(rounds):
            with_lab.append(start_lab())
            plain.append(start_plain())
            print(f"{spawner} {number + 1}/{rounds}: lab {with_lab[-1]:.2f} s, "
                  f"plain {plain[-1]:.2f} s", flush=True)  # fmt: skip
    value, limit = median(with_lab), median(plain)
    print(f"{spawner}: lab {min(with_lab):.2f}-{max(with_lab):.2f} s, "
          f"plain {min(plain):.2f}-{max(plain):.2f} s")  # fmt: skip
    ratio = value / limit
    return report(Figure(bench=f"spawn-{spawner}", value=value, unit="s", limit=limit, ratio=ratio,
                         target=_TARGET, ok=ratio <= _TARGET))  # fmt: skip


@contextmanager
def _plain_hub(folder: Path, spawner: str, lab: RunningLab) -> Iterator[Callable[[], float]]:
    """Run the plain hub; yields what starts and stops one server and times the start."""
    folder.mkdir()
    port, hub_port, proxy_port = free_ports(3)
    token = secrets.token_hex(16)
    module, name = {"process": ("hub.process_spawner", "ProcessSpawner"),
                    "docker": ("hub.docker_spawner", "LabDockerSpawner")}[spawner]  # fmt: skip
    # Not the lab's network: sessions there reach the lab's own hub and no other.
    network = f"{lab.network}-plain"
    hub_host = ensure_network(network).gateway if spawner == "docker" else "127.0.0.1"
    more = (_DOCKER if spawner == "docker" else _PROCESS).format(folder=folder, network=network)
    node, program = find_proxy()
    (folder / "config.py").write_text(_PLAIN_HUB.format(
        module=module, spawner=name, port=port, hub_port=hub_port, proxy_port=proxy_port,
        proxy=[str(node), str(program)], token=token, hub_id=lab.hub_id, hub_host=hub_host,
        more=more,
    ))  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyterhub", "-f", str(folder / "config.py")], cwd=folder,
        stdout=(folder / "log").open("w"), stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )  # fmt: skip
    client = httpx2.Client(
        base_url=f"http://127.0.0.1:{port}/hub/api",
        timeout=60,
        headers={"Authorization": f"token {token}"},
        trust_env=False,
    )
    try:
        wait_for("the plain hub", lambda: _answers(client), within_s=60)
        client.post("/users/plain").raise_for_status()
        yield lambda: _start_plain(client)
    finally:
        client.delete("/users/plain/server")
        client.close()
        process.terminate()
        process.wait(60)
        if spawner == "docker":
            remove_leavings(lab.hub_id, network)


def _start_plain(client: httpx2.Client) -> float:
    def is_ready() -> bool:
        server = client.get("/users/plain").json()["servers"].get("")
        return bool(server and server["ready"])

    took_s = _timed(
        lambda: client.post("/users/plain/server", json={}).status_code in (201, 202), is_ready
    )
    client.delete("/users/plain/server")
    wait_for("the end", lambda: not client.get("/users/plain").json()["servers"], within_s=60)
    return took_s


def _timed(ask: Callable[[], bool], is_ready: Callable[[], bool]) -> float:
    began = time.monotonic()
    assert ask(), "the start was refused"
    wait_for("a session", is_ready, within_s=120, every_s=_LOOK_EVERY_S)
    return time.monotonic() - began


def _answers(client: httpx2.Client) -> bool:
    try:
        return client.get("/").status_code == 200
    except httpx2.HTTPError:
        return False
