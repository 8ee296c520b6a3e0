"""The durable records that the keeper of a process session leaves (see hub/session_wrapper.py)."""

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from quota.clock import from_ms
from quota.emergency_times import end_of_start

_NONSENSE = (KeyError, TypeError, ValueError, OverflowError, AttributeError)


class BadRecord(Exception):
    """A record that says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A session's start, and the process that keeps it."""

    ref: str
    lease_id: UUID | None
    hub_id: str
    account: str
    server_name: str
    flavor: str
    pid: int
    start_ticks: int
    boot_id: str
    started_at: datetime
    gpu_uuid: str = ""
    emergency_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A session's end."""

    at: datetime
    exit_code: int
    how: str


def read_start(folder: Path) -> Started | None:
    """Read how a session started; None when it has not."""
    body = _read(folder / "start.json")
    if body is None:
        return None
    try:
        return Started(
            ref=folder.name,
            lease_id=UUID(body["lease_id"]) if body["lease_id"] else None,
            hub_id=str(body["hub_id"]),
            account=str(body["account"]),
            server_name=str(body["server_name"]),
            flavor=str(body["flavor"]),
            pid=_positive(body["pid"]),
            start_ticks=int(body["start_ticks"]),
            boot_id=str(body["boot_id"]),
            started_at=(started_at := from_ms(int(body["started_at_ms"]))),
            gpu_uuid=str(body.get("gpu_uuid", "")),
            emergency_until=end_of_start(str(body.get("emergency_until", "")), started_at),
        )
    except _NONSENSE as error:
        raise BadRecord(f"{folder.name}: start.json holds no start: {error!r}") from error


def read_end(folder: Path) -> Ended | None:
    """Read how a session ended; None when nobody wrote it down."""
    body = _read(folder / "end.json")
    if body is None:
        return None
    try:
        at = from_ms(int(body["ended_at_ms"]))
        return Ended(at=at, exit_code=int(body["exit_code"]), how=str(body["how"]))
    except _NONSENSE as error:
        raise BadRecord(f"{folder.name}: end.json holds no end: {error!r}") from error


def boot_id() -> str:
    """Return what names this start of the machine: after another one, no process is left."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def start_ticks(pid: int) -> int | None:
    """Return when a process was made, in ticks since the boot; None when it is gone.

    The same as in hub/session_wrapper.py, which may not be imported from here: process ids are
    used again, so an id means nothing without this.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def open_keeper(one: Started) -> int | None:
    """Return a handle on a session's keeper that cannot come to mean another process.

    None when the keeper is gone. The caller closes it.
    """
    try:
        handle = os.pidfd_open(one.pid)
    except ProcessLookupError:
        return None
    if start_ticks(one.pid) == one.start_ticks and boot_id() == one.boot_id:
        return handle
    os.close(handle)
    return None


def _read(path: Path) -> dict[str, Any] | None:
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise BadRecord(f"{path.parent.name}: {path.name} cannot be read: {error}") from error
    try:
        body = json.loads(text)
    except ValueError as error:
        raise BadRecord(f"{path.parent.name}: {path.name} is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadRecord(f"{path.parent.name}: {path.name} holds no record")
    return body


def _positive(number: Any) -> int:
    # To the kernel 0 and -1 mean whole groups of processes.
    if not isinstance(number, int) or number <= 1:
        raise ValueError(f"no process id: {number!r}")
    return number
