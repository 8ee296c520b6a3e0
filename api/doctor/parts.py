"""Which parts with known floors are here, and in which versions."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from api.doctor.floors import Part

# What the hub and the service run on; then what is only looked at where it is installed.
_PACKAGES = ("jupyterhub", "dockerspawner", "jupyter-server", "starlette")
_PERHAPS = ("jupyter-server-proxy", "jupyterhub-ltiauthenticator")
_PROXY = "configurable-http-proxy"
_PROJECT = Path(__file__).parents[2]
_ANSWER_S = 10

Run = Callable[[tuple[str, ...]], str]


def said_by(command: tuple[str, ...]) -> str:
    """Return what a program prints; empty when it is not here or does not answer."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=_ANSWER_S,
                               check=False)  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ended.stdout


def installed_parts(run: Run = said_by, *, project: Path = _PROJECT) -> Iterator[Part]:
    """Find Python packages, the proxy and the NVIDIA toolkit."""
    for name in _PACKAGES:
        yield Part(name=name, version=_package(name), is_needed=True)
    for name in _PERHAPS:
        if found := _package(name):
            yield Part(name=name, version=found)
    yield Part(name=_PROXY, version=_proxy(run, project))
    said = run(("nvidia-ctk", "--version")).splitlines()
    yield Part(name="nvidia-container-toolkit", version=_last_word(said[0]) if said else "")


def engine_parts(told: dict[str, Any]) -> Iterator[Part]:
    """Find what the engine runs containers with, in its answer to `version`; pure."""
    for component in told.get("Components") or ():
        if component.get("Name") == "runc":
            details = component.get("Details") or {}
            words = (str(component.get("Version", "")), str(details.get("GitCommit", "")))
            # The second one is the distribution's whole number, or the commit that was built.
            yield Part(
                name="runc", version=words[1] if words[1].startswith(words[0]) else words[0]
            )


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _proxy(run: Run, project: Path) -> str:
    try:
        told = json.loads((project / "node_modules" / _PROXY / "package.json").read_text())
        return str(told["version"])
    except (OSError, ValueError, KeyError):
        return run((_PROXY, "--version")).strip()


def _last_word(line: str) -> str:
    return line.rsplit(maxsplit=1)[-1] if line.split() else ""
