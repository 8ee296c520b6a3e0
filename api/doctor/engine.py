"""The Docker engine: its versions, its settings, the lab's images in it."""

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from api.cli_settings import CliSettings
from api.doctor.findings import Finding, Level
from api.doctor.floors import judge
from api.doctor.machine import room_of
from api.doctor.parts import engine_parts
from quota.lab_file import LabFileError, load_lab

# The gate speaks no older version of the engine's API.
_LEAST_API = (1, 40)
_TOOLKIT_SETTINGS = Path("/etc/nvidia-container-runtime/config.toml")
_BY_VARIABLE = "accept-nvidia-visible-devices-envvar-when-unprivileged"


def look_at_engine(settings: CliSettings) -> Iterator[Finding]:
    """Ask the engine, if there is one."""
    import docker  # noqa: PLC0415 - half a second to import; only the doctor wants it here
    from docker.errors import DockerException  # noqa: PLC0415

    try:
        client = docker.from_env(timeout=5, version="auto")
    except (DockerException, OSError):
        level: Level = "fail" if settings.spawner == "docker" else "ok"
        yield Finding(level, "no Docker engine answers; sessions can only be local processes",
                      "start the engine" if level == "fail" else "")  # fmt: skip
        return
    try:
        info = _info(client)
        yield from engine_findings(client.version(), info)
        yield from engine_room(info)
        yield from _images(settings, client)
    except (DockerException, OSError) as error:
        yield Finding("warn", f"the Docker engine stopped answering: {str(error)[:200]}",
                      "look again")  # fmt: skip
    finally:
        client.close()
    yield from toolkit_findings(_TOOLKIT_SETTINGS)


def engine_findings(told: Mapping[str, Any], info: Mapping[str, Any] | None) -> Iterator[Finding]:
    """Judge what the engine says of itself; pure."""
    api = tuple(int(part) for part in str(told.get("ApiVersion", "0.0")).split("."))
    if api < _LEAST_API:
        yield Finding("fail", f"Docker engine {told.get('Version')} is too old for the lab's gate",
                      "install Docker 20.10 or newer")  # fmt: skip
    else:
        yield Finding("ok", f"Docker engine {told.get('Version')}")
    yield from map(judge, engine_parts(dict(told)))
    if info is None:
        yield Finding("ok", "the engine's settings are not shown through the lab's gate")
        return
    if info.get("DefaultRuntime") == "nvidia":
        yield Finding(
            "fail", "the NVIDIA runtime is the engine's default: an image can take all GPUs",
            "take default-runtime out of the engine's daemon.json and restart it",
        )  # fmt: skip
    else:
        yield Finding("ok", f"containers run by {info.get('DefaultRuntime')}")
    if not any("name=seccomp" in one for one in info.get("SecurityOptions") or ()):
        yield Finding("fail", "the engine does not filter what containers ask of the kernel",
                      "run the engine with its default seccomp profile")  # fmt: skip
    if not info.get("LiveRestoreEnabled"):
        yield Finding("warn", "a restart of the engine ends all sessions",
                      'write "live-restore": true into the engine\'s daemon.json')  # fmt: skip
    if info.get("CgroupVersion", "1") == "1":
        yield Finding("ok", "cgroup v1: shares of GPU memory are advice, nobody is held to them")
    else:
        yield Finding("ok", f"cgroup v{info['CgroupVersion']}")


def engine_room(info: Mapping[str, Any] | None) -> Iterator[Finding]:
    """See that there is room for images, sessions and homes, where the engine keeps them."""
    root = Path(str((info or {}).get("DockerRootDir") or "/none"))
    # From within a container the engine's folder is not to be seen; the state is in it then.
    if root.is_dir() and os.access(root, os.X_OK):
        yield room_of(root, f"where the engine keeps images and homes ({root})")


def toolkit_findings(path: Path) -> Iterator[Finding]:
    """Judge the NVIDIA toolkit's settings: an image must not choose its GPUs."""
    try:
        told = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return
    except (OSError, tomllib.TOMLDecodeError) as error:
        yield Finding("warn", f"{path} cannot be read: {error}", "mend it")
        return
    if told.get(_BY_VARIABLE, True):
        yield Finding("fail", "the NVIDIA toolkit lets an image choose its GPUs by a variable",
                      f"write {_BY_VARIABLE} = false into {path}")  # fmt: skip
    else:
        yield Finding("ok", "images cannot choose their GPUs")


def _info(client: Any) -> Mapping[str, Any] | None:
    from docker.errors import APIError  # noqa: PLC0415 - as above

    try:
        info: Mapping[str, Any] = client.info()
    except APIError as error:
        if error.status_code == 403:
            return None
        raise
    return info


def _images(settings: CliSettings, client: Any) -> Iterator[Finding]:
    from docker.errors import APIError, ImageNotFound  # noqa: PLC0415 - as above

    try:
        lab = load_lab(settings.lab_file)
    except LabFileError:
        return
    approved = _approved(settings.gate_policy or settings.state_dir / "gate.json")
    for name, image in lab.images.items():
        try:
            found = client.images.get(image.docker).id
        except (ImageNotFound, APIError) as error:
            missing = isinstance(error, ImageNotFound)
            level: Level = "fail" if settings.spawner == "docker" and missing else "warn"
            what = "is not here" if missing else f"is not shown: {error.explanation}"
            yield Finding(level, f"the image {name} ({image.docker}) {what}", "make images")
            continue
        yield image_finding(name, image.docker, found, approved.get(image.docker))


def image_finding(name: str, reference: str, found: str, approved: str | None) -> Finding:
    """Compare an image with the one that the lab was started with; pure."""
    if approved is not None and approved != found:
        return Finding(
            "warn", f"{reference} is now {found[:19]}, and the lab was started with "
            f"{approved[:19]}, which sessions still get", "start the lab again to use the new one",
        )  # fmt: skip
    return Finding("ok", f"the image {name} is {found[:19]}")


def _approved(policy: Path) -> dict[str, str]:
    """Return what the gate was told, if there is one."""
    try:
        images = json.loads(policy.read_text())["images"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return {str(name): str(one) for name, one in images.items()}
