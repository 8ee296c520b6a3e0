"""The lab's two spawners: local processes and Docker containers."""

from hub.docker_spawner import LabDockerSpawner
from hub.process_spawner import ProcessSpawner

__all__ = ["LabDockerSpawner", "ProcessSpawner"]
