"""The real gate before the real engine, and a container's body as the spawner writes it."""

import copy
import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from gate.policy import Policy
from tests.engine import BASE_IMAGE, Engine
from tests.runtimes.sessions import eventually

ENGINE = Path(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").partition("://")[2])
GPU = "GPU-8d6ff0b4-3d1c-4a0a-9d0e-0f4c35f3b9a1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    body: bytes

    @property
    def message(self) -> str:
        return str(json.loads(self.body)["message"])


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningGate:
    """A gate as a program of its own, with its log."""

    pid: int
    socket: Path
    log: Path
    policy: Policy
    engine: Engine

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def refusals(self) -> list[dict[str, Any]]:
        lines = (line.partition(" WARNING ")[2] for line in self.log.read_text().splitlines())
        return [json.loads(line) for line in lines if line]


@contextmanager
def running_gate(
    folder: Path,
    engine: Engine,
    policy: dict[str, Any],
    *,
    engine_socket: Path = ENGINE,
    mode: str = "600",
) -> Iterator[RunningGate]:
    """Start `python -m gate` and wait until it listens."""
    folder.mkdir(parents=True, exist_ok=True)
    file, path, log = folder / "gate.json", folder / "gate.sock", folder / "gate.log"
    file.write_text(json.dumps(policy))
    told = {"GPULAB_GATE_POLICY": str(file), "GPULAB_GATE_SOCKET": str(path),
            "GPULAB_GATE_ENGINE": str(engine_socket),
            "GPULAB_GATE_SOCKET_MODE": mode}  # fmt: skip
    with log.open("w") as output:
        process = subprocess.Popen([sys.executable, "-m", "gate"], stdout=output, stderr=output,
                                   env={**os.environ, **told})  # fmt: skip
    try:
        eventually(lambda: "listens" in log.read_text())
        yield RunningGate(pid=process.pid, socket=path, log=log, engine=engine,
                          policy=Policy.model_validate_json(file.read_bytes()))  # fmt: skip
    finally:
        process.terminate()
        assert process.wait(10) == 0, log.read_text()


def policy_for(engine: Engine, network: str, **more: Any) -> dict[str, Any]:
    image = engine.client.inspect_image(BASE_IMAGE)["Id"]
    return {"hub_id": engine.hub_id, "network": network, "images": {BASE_IMAGE: image},
            "most_memory_bytes": 8 << 30, **more}  # fmt: skip


def creation(hub_id: str, network: str, **more: Any) -> tuple[str, dict[str, Any]]:
    """Return name and body of a container that the lab could want; `more` goes over the body."""
    lease = str(uuid4())
    labels = {"gpulab.lease": lease, "gpulab.hub": hub_id, "gpulab.user": "ada",
              "gpulab.server": "", "gpulab.flavor": "cpu"}  # fmt: skip
    host = {
        "Memory": 256 << 20, "MemorySwap": 256 << 20, "PidsLimit": 256, "CpuQuota": 100_000,
        "CpuPeriod": 100_000, "CapDrop": ["ALL"], "SecurityOpt": ["no-new-privileges:true"],
        "NetworkMode": network, "IpcMode": "private", "RestartPolicy": {"Name": "no"},
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
        "Binds": [f"gpulab.{hub_id}.ada:/home/scholar:rw"], "Devices": None,
        "DeviceRequests": [],
    }  # fmt: skip
    body = {"Image": BASE_IMAGE, "Cmd": ["sh", "-c", "exec sleep 600"], "Labels": labels,
            "Env": ["NVIDIA_VISIBLE_DEVICES=void"], "HostConfig": host}  # fmt: skip
    return f"gpulab-{lease}", over(body, more)


def over(body: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Lay some values over a body, at any depth."""
    made = copy.deepcopy(body)
    for key, value in more.items():
        kept = made.get(key)
        both = isinstance(kept, dict) and isinstance(value, dict)
        made[key] = over(kept, value) if both and kept is not None else value
    return made


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("docker", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(str(self._path))


def ask(path: Path, method: str, target: str, body: Any = None) -> Answer:
    """Ask a socket as a program would that knows no client library."""
    connection = _UnixConnection(path)
    with closing(connection):
        data = None if body is None else json.dumps(body).encode()
        connection.request(method, target, data, {"Content-Type": "application/json"})
        found = connection.getresponse()
        return Answer(status=found.status, body=found.read())


def ask_raw(path: Path, data: bytes) -> bytes:
    """Send bytes as they are, and read until the other side closes."""
    with closing(socket.socket(socket.AF_UNIX)) as connection:
        connection.settimeout(30)
        connection.connect(str(path))
        # One that has heard enough closes early; what it said is still to be read.
        with suppress(BrokenPipeError):
            connection.sendall(data)
        parts = []
        with suppress(ConnectionResetError):
            while part := connection.recv(65_536):
                parts.append(part)
        return b"".join(parts)
