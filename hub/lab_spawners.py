"""The spawners that the hub uses: what starts a session, with the waiting line before it."""

from typing import Literal

from hub.progress import Watched
from hub.spawners import LabDockerSpawner, ProcessSpawner


class WatchedProcessSpawner(Watched, ProcessSpawner):
    """Sessions as local processes."""


class WatchedDockerSpawner(Watched, LabDockerSpawner):
    """Sessions as containers."""


def spawner_class(kind: Literal["process", "docker"]) -> type:
    """Choose the class by the setting."""
    return {"process": WatchedProcessSpawner, "docker": WatchedDockerSpawner}[kind]
