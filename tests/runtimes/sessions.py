"""Sessions started at a runtime for tests, without a hub."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol
from uuid import UUID, uuid4

from api.runtimes.docker import FLAVOR, HUB, LEASE, SERVER, USER, DockerRuntime
from api.runtimes.process import ProcessRuntime
from api.runtimes.protocol import Runtime, RuntimeUnavailable
from tests.engine import BASE_IMAGE, Engine

ROOT = Path(__file__).parents[2]
WRAPPER = ROOT / "hub" / "session_wrapper.py"
ACCOUNT = "ada"
RUNS = "exec sleep 600"
# Tells that the trap is set, so that no signal comes before it.
IGNORES_SIGTERM = "trap '' TERM; echo ready; while true; do sleep 600; done"


class Sessions(Protocol):
    """A way to start sessions, and the runtime that shall see them."""

    runtime: Runtime

    def start(self, script: str, *, hub_id: str | None = None) -> tuple[str, UUID]:
        """Start a shell script as a session; return ref and lease."""
        ...

    def output(self, ref: str) -> str:
        """Return what the session printed."""
        ...


class ProcessSessions:
    """Sessions under the real keeper, without a spawner."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hub_id = "test"
        self.runtime: ProcessRuntime = ProcessRuntime(folder, self.hub_id)

    def start(self, script: str, *, hub_id: str | None = None) -> tuple[str, UUID]:
        lease_id = uuid4()
        session = self.folder / str(lease_id)
        session.mkdir(parents=True)
        wanted = {"ref": str(lease_id), "lease_id": str(lease_id),
                  "hub_id": hub_id or self.hub_id, "account": ACCOUNT, "server_name": "",
                  "flavor": "cpu", "port": 0}  # fmt: skip
        (session / "wanted.json").write_text(json.dumps(wanted))
        environment = {"PATH": os.environ["PATH"], "GPULAB_LEASE": str(lease_id)}
        command = [sys.executable, "-I", "-S", str(WRAPPER), str(session), "sh", "-c", script]
        subprocess.run(command, check=True, env=environment, timeout=20)
        return str(lease_id), lease_id

    def output(self, ref: str) -> str:
        return (self.folder / ref / "session.log").read_text()

    def end_all(self) -> None:
        for one in self.folder.iterdir() if self.folder.exists() else ():
            with suppress(RuntimeUnavailable):  # a record that a test broke
                ProcessRuntime(self.folder, self.hub_id).kill(one.name)


class DockerSessions:
    """Containers labelled as the spawner does it."""

    def __init__(self, engine: Engine, runtime: DockerRuntime) -> None:
        self.engine = engine
        self.runtime: DockerRuntime = runtime

    def create(self, script: str, *, hub_id: str | None = None) -> tuple[str, UUID]:
        lease_id = uuid4()
        labels = {LEASE: str(lease_id), HUB: hub_id or self.engine.hub_id, USER: ACCOUNT,
                  SERVER: "", FLAVOR: "cpu"}  # fmt: skip
        host = self.engine.client.create_host_config(network_mode="none")
        made = self.engine.client.create_container(
            BASE_IMAGE, command=["sh", "-c", script], entrypoint=[], labels=labels,
            name=f"gpulab-{lease_id}", host_config=host, healthcheck={"test": ["NONE"]},
        )  # fmt: skip
        return str(made["Id"]), lease_id

    def start(self, script: str, *, hub_id: str | None = None) -> tuple[str, UUID]:
        ref, lease_id = self.create(script, hub_id=hub_id)
        self.engine.client.start(ref)
        return ref, lease_id

    def output(self, ref: str) -> str:
        logs: bytes = self.engine.client.logs(ref)
        return logs.decode()


def eventually(condition: Callable[[], bool], *, within_s: float = 20.0) -> None:
    """Wait for a condition, with a bound."""
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until, f"not within {within_s} s"
        time.sleep(0.02)
