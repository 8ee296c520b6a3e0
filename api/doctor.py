"""What an operator should know about a machine and its lab: each fault with its remedy."""

import os
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from shutil import disk_usage
from typing import Literal

from packaging.version import Version

from api.cli_settings import CliSettings, database, unknown_variables
from api.gpus import InventoryUnavailable, choose_inventory
from api.settings import CannotStart
from quota.errors import BooksUnavailable
from quota.lab_file import LabFileError, load_lab
from quota.store.engine import journal_mode, ping
from quota.store.migrate import is_current

# The oldest versions without a known hole that matters here, and what the hole is.
OLDEST: dict[str, tuple[str, str]] = {
    "jupyterhub": ("6.1", "GHSA-c4gm-pwx9-9w8j, GHSA-69wv-m5fw-2fhp"),
    "dockerspawner": ("14.0", "CVE-2023-48311"),
    "jupyter-server": ("2.18.0", "CVE-2026-40934"),
    "starlette": ("1.3.1", "CVE-2026-54283"),
}
_LEAST_FREE_BYTES = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Literal["ok", "warn", "fail"]
    what: str
    remedy: str = ""


def examine(settings: CliSettings) -> list[Finding]:
    """Look at everything; no look depends on another."""
    looks: tuple[Callable[[CliSettings], Iterator[Finding]], ...] = (
        _versions, _variables, _folders, _books, _policy_and_gpus, _engine,
    )  # fmt: skip
    return [finding for look in looks for finding in look(settings)]


def version_finding(package: str, found: str | None, oldest: str, why: str) -> Finding:
    """Judge an installed version."""
    if found is None:
        return Finding(
            "warn", f"{package} is not installed", f"install {package} {oldest} or newer"
        )
    if Version(found) < Version(oldest):
        return Finding("fail", f"{package} {found} has a known hole ({why})",
                       f"install {oldest} or newer")  # fmt: skip
    return Finding("ok", f"{package} {found}")


def _versions(_settings: CliSettings) -> Iterator[Finding]:
    yield Finding("ok", f"Python {sys.version.split()[0]}")
    for package, (oldest, why) in OLDEST.items():
        try:
            found: str | None = version(package)
        except PackageNotFoundError:
            found = None
        yield version_finding(package, found, oldest, why)


def _variables(_settings: CliSettings) -> Iterator[Finding]:
    for name in unknown_variables():
        yield Finding("warn", f"{name} is no setting of the lab",
                      "docs/reference.md lists the settings")  # fmt: skip


def _folders(settings: CliSettings) -> Iterator[Finding]:
    root = settings.state_dir
    if not root.is_dir():
        yield Finding("fail", f"the state folder {root} is not there",
                      "run this in the lab's folder, or set GPULAB_STATE_DIR")  # fmt: skip
        return
    yield _private(root, "the state folder", "700")
    if not os.access(root, os.W_OK):
        yield Finding("fail", f"the state folder {root} cannot be written",
                      "run as the user whom it belongs to")  # fmt: skip
    secrets = root / "secrets"
    for path in sorted(secrets.iterdir()) if os.access(secrets, os.R_OK) else ():
        yield _private(path, "the secret", "600")
    free = disk_usage(root).free
    if free < _LEAST_FREE_BYTES:
        yield Finding("warn", f"{free // 1_000_000} MB are free where the state folder is",
                      "make room; a full disk stops new sessions")  # fmt: skip


def _private(path: Path, what: str, mode: str) -> Finding:
    open_to = stat.S_IMODE(path.stat().st_mode) & 0o077
    if open_to:
        return Finding("fail", f"{what} {path} is open to other users", f"chmod {mode} {path}")
    return Finding("ok", f"{what} {path.name} is private")


def _books(settings: CliSettings) -> Iterator[Finding]:
    try:
        with database(settings) as engine:
            ping(engine)
            is_right, kind = is_current(engine), engine.dialect.name
    except (CannotStart, BooksUnavailable) as error:
        yield Finding("fail", f"the books do not open: {error}",
                      "start the lab once, or see that its database runs")  # fmt: skip
        return
    if is_right:
        yield Finding("ok", f"the books are in {kind}, at the version of this program")
    else:
        yield Finding("fail", "the books are of another version", "gpulab migrate")
    if kind == "sqlite":
        mode = journal_mode(sqlite3.sqlite_version_info[:3])
        why = "" if mode == "WAL" else " (WAL loses commits in this version)"
        yield Finding("ok", f"SQLite {sqlite3.sqlite_version}, journal mode {mode}{why}")


def _policy_and_gpus(settings: CliSettings) -> Iterator[Finding]:
    try:
        lab = load_lab(settings.lab_file)
    except LabFileError as error:
        yield Finding("fail", str(error), "gpulab lab-file says it in full")
        return
    yield Finding("ok", f"{settings.lab_file} is right")
    try:
        inventory, why = choose_inventory(lab.gpus.mode, lab.gpus.declared)
        devices = inventory.devices()
    except InventoryUnavailable as error:
        yield Finding("fail", f"lab.yaml wants real GPUs: {error}",
                      "mend the driver, or set gpus: mode: auto")  # fmt: skip
        return
    names = ", ".join(sorted({device.name for device in devices}))
    yield Finding("ok", f"{len(devices)} GPU(s): {names} ({why})")
    for name in lab.unplaceable(devices):
        yield Finding("warn", f"no GPU here can hold the flavor {name}",
                      f"change its gpu_models or memory_mib in {settings.lab_file}")  # fmt: skip


def _engine(settings: CliSettings) -> Iterator[Finding]:
    import docker  # noqa: PLC0415 - half a second to import; only the doctor wants it here
    from docker.errors import DockerException  # noqa: PLC0415

    try:
        client = docker.from_env(timeout=3)
        try:
            found = client.version()["Version"]
        finally:
            client.close()
    except (DockerException, OSError):
        level: Literal["ok", "fail"] = "fail" if settings.spawner == "docker" else "ok"
        yield Finding(level, "no Docker engine answers; sessions can only be local processes",
                      "start the engine" if level == "fail" else "")  # fmt: skip
        return
    yield Finding("ok", f"Docker engine {found}")
