"""The programs that read compose.yaml and its files, as scripts/compose-tools.sh got them."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest

PROJECT = Path(__file__).parents[2]
TOOLS = PROJECT / ".tools"
IMAGES = ("CADDY", "PROXY", "HUB", "API", "POSTGRES", "PROMETHEUS", "GRAFANA")


def tool(name: str) -> str:
    path = TOOLS / name
    if not path.exists():
        missing(f"no {name} here: scripts/compose-tools.sh")
    return str(path)


def missing(why: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


def settings(**changed: str) -> dict[str, str]:
    """What `make up` would write, for a lab that is only looked at."""
    images = {f"LAB_{name}_IMAGE": f"{name.lower()}@sha256:{'0' * 64}" for name in IMAGES}
    return {"COMPOSE_FILE": "compose.yaml", "LAB_ADDRESS": "lab.example.org",
            "LAB_DOCKER_GID": "111", **images, **changed}  # fmt: skip


def env_file(folder: Path, told: Mapping[str, str]) -> Path:
    path = folder / "env"
    path.write_text("".join(f"{name}={value}\n" for name, value in told.items()))
    return path


def composed(folder: Path, told: Mapping[str, str], *more: Path) -> dict[str, Any]:
    """Return the lab as Compose understands it; `more` are files that change it."""
    files = [*told["COMPOSE_FILE"].split(":"), *map(str, more)]
    named = [word for file in files for word in ("-f", file)]
    done = run(tool("docker-compose"), "--env-file", str(env_file(folder, told)), *named,
               "--profile", "*", "config", "--format", "json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def run(*command: str, environment: Mapping[str, str] | None = None,
        within_s: float = 60) -> subprocess.CompletedProcess[str]:  # fmt: skip
    # Only what is given counts: nobody's own settings of a lab.
    plain = {name: value for name, value in os.environ.items()
             if not name.startswith(("LAB_", "COMPOSE_", "GPULAB_"))}  # fmt: skip
    return subprocess.run(command, cwd=PROJECT, env={**plain, **(environment or {})}, text=True,
                          capture_output=True, check=False, timeout=within_s)  # fmt: skip
