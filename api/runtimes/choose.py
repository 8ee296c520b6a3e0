"""Open the runtime that the lab's sessions run in."""

from pathlib import Path
from typing import Literal

from api.runtimes.docker import DockerRuntime
from api.runtimes.process import ProcessRuntime
from api.runtimes.protocol import Runtime
from quota.clock import SystemClock


def open_runtime(spawner: Literal["process", "docker"], state_dir: Path, hub_id: str) -> Runtime:
    """Return the runtime of a spawner; whether an engine answers shows at the first question."""
    if spawner == "docker":
        return DockerRuntime(hub_id, SystemClock())
    return ProcessRuntime(state_dir / "sessions", hub_id)
