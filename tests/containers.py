"""Sessions in containers, as the lab's spawner starts them at a real engine, and looks inside."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hub.spawners import LabDockerSpawner
from tests.engine import BASE_IMAGE, Engine
from tests.hub.spawning import Spawning, hub_of
from tests.runtimes.sessions import eventually

# Further arguments, as the spawner gives them to root, are nothing to a shell's script.
SLEEPS = ["sh", "-c", "exec sleep 600"]
GPU = "GPU-8d6ff0b4-3d1c-4a0a-9d0e-0f4c35f3b9a1"


class Containers:
    """Spawners of containers of one test hub."""

    def __init__(self, hub: Spawning, engine: Engine, network: str) -> None:
        self.hub = hub
        self.engine = engine
        self.traits = {"hub_id": engine.hub_id, "network_name": network, "cmd": SLEEPS,
                       "docker_image": BASE_IMAGE, "pull_policy": "never",
                       "ram_mib": 256, "cpus": 0.5}  # fmt: skip

    def spawner(self, account: str = "ada", **traits: Any) -> Any:
        return self.hub.spawner(account, **{**self.traits, **traits})

    def started(self, account: str = "ada", **traits: Any) -> Any:
        spawner = self.spawner(account, **traits)
        asyncio.run(spawner.start())
        return spawner

    def inspect(self, spawner: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.engine.client.inspect_container(spawner.object_name)
        return found

    def ip(self, spawner: Any) -> str:
        (one,) = self.inspect(spawner)["NetworkSettings"]["Networks"].values()
        return str(one["IPAddress"])

    def serve(self, spawner: Any, port: int) -> None:
        """Let a container answer at a port, and wait until it does."""
        made = self.engine.client.exec_create(
            spawner.object_name, ["python", "-m", "http.server", str(port)]
        )
        self.engine.client.exec_start(made["Id"], detach=True)
        ip = self.ip(spawner)
        eventually(lambda: self.answers_at(ip, port))

    def answers_at(self, ip: str, port: int) -> bool:
        """Tell whether somebody listens; asked by a process of its own, as the hub is one."""
        words = f"import socket; socket.create_connection(({ip!r}, {port}), 1)"
        return subprocess.run([sys.executable, "-c", words], check=False,
                              stderr=subprocess.DEVNULL).returncode == 0  # fmt: skip

    def remove(self) -> None:
        """Remove all containers that this hub has now."""
        remove_containers(self.engine)

    def inside(self, spawner: Any, *words: str) -> str:
        return inside(self.engine, spawner.object_name, *words)


def inside(engine: Engine, container: str, *words: str) -> str:
    """Run a command in a container and return all that it says."""
    made = engine.client.exec_create(container, list(words))
    output: bytes = engine.client.exec_start(made["Id"])
    return output.decode()


def remove_containers(engine: Engine) -> None:
    for one in engine.client.containers(
        all=True, filters={"label": f"gpulab.hub={engine.hub_id}"}
    ):
        engine.client.remove_container(one["Id"], v=True, force=True)


@contextmanager
def containers_of(engine: Engine, network: str) -> Iterator[Containers]:
    """Open a hub's spawners; at the end, remove what they started."""
    with hub_of(LabDockerSpawner) as hub:
        try:
            yield Containers(hub, engine, network)
        finally:
            remove_containers(engine)
            LabDockerSpawner._pins.clear()
            if LabDockerSpawner._client is not None:
                LabDockerSpawner._client.close()
                LabDockerSpawner._client = None
