"""The Docker engine as the launcher finds it, and the choice of what sessions run in."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import docker
from docker.errors import APIError, DockerException, ImageNotFound
from requests.exceptions import RequestException

from lab.errors import CannotStart
from lab.settings import Spawner

# An engine that takes longer to say hello than this would make every start of a session slow.
_ANSWER_S = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLook:
    """What was seen of the engine; `trouble` empty means that it answers."""

    trouble: str
    missing_images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What sessions run in, and why."""

    spawner: Literal["docker", "process"]
    why: str


def choose_spawner(wanted: Spawner, look: EngineLook) -> Choice:
    """Take Docker when an engine answers and the images are there, else processes.

    Raises:
        CannotStart: Docker is asked for and cannot be had.

    """
    if wanted == "process":
        return Choice(spawner="process", why="as asked for")
    if look.trouble:
        problem = f"no Docker engine answers ({look.trouble})"
        remedy = "start it, give this user the right to use it, or choose --spawner process"
    elif look.missing_images:
        problem = f"the Docker engine lacks {', '.join(look.missing_images)}"
        remedy = f"{_how_to_get(look.missing_images)} first, or choose --spawner process"
    else:
        why = (
            "as asked for" if wanted == "docker" else "a Docker engine answers and has the images"
        )
        return Choice(spawner="docker", why=why)
    if wanted == "docker":
        raise CannotStart(f"{problem}; {remedy}")
    return Choice(spawner="process", why=problem)


def _how_to_get(references: Iterable[str]) -> str:
    """Say how images get here: those of this project are built, others pulled."""
    steps = []
    for reference in references:
        ours = re.fullmatch(r"gpulab/([a-z0-9-]+):latest", reference)
        steps.append(f"make images-{ours[1]}" if ours else f"docker pull {reference}")
    return "run " + " and ".join(f"`{step}`" for step in steps)


def look_at_engine(images: Iterable[str]) -> EngineLook:
    """Ask the engine whether it is there and has the lab's images."""
    if engine_socket(os.environ) is None:
        return EngineLook(trouble="DOCKER_HOST names no socket of this machine")
    try:
        client = connect()
        try:
            missing = tuple(sorted({name for name in images if not _has(client, name)}))
        finally:
            client.close()
    except (DockerException, RequestException, OSError) as error:
        return EngineLook(trouble=_in_short(error))
    return EngineLook(trouble="", missing_images=missing)


def engine_socket(environment: Mapping[str, str]) -> Path | None:
    """Return the engine's own socket; None for an engine elsewhere, whose sessions are too."""
    host = environment.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    kind, _, path = host.partition("://")
    return Path(path) if kind == "unix" and path.startswith("/") else None


def connect() -> Any:
    """Open a client to the engine of the environment (DOCKER_HOST, else the local socket)."""
    client = docker.from_env(timeout=_ANSWER_S)
    client.ping()
    return client


def _has(client: Any, image: str) -> bool:
    try:
        client.images.get(image)
    except ImageNotFound:
        return False
    return True


def _in_short(error: Exception) -> str:
    """Turn the client's nested errors into a few words."""
    if isinstance(error, APIError):
        return f"it refuses: {error.explanation}"
    text = str(error)
    for sign, words in _SIGNS.items():
        if sign in text:
            return words
    return text.splitlines()[0][:120] if text else type(error).__name__


_SIGNS = {
    "FileNotFoundError": "there is none on this machine, or it is not running",
    "No such file": "there is none on this machine, or it is not running",
    "Connection refused": "it is not running",
    "ConnectionRefusedError": "it is not running",
    "PermissionError": "this user may not use it",
    "Permission denied": "this user may not use it",
    "timed out": "it does not answer in time",
}
