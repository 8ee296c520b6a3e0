"""The worker's note to the watchdog: until when each session may run if nobody says otherwise.

A small JSON file, written whole or not at all at every tick.
"""

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from quota.failpoints import failpoint

_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDeadline:
    """One session by its name at the runtime."""

    ref: str
    lease_id: str
    deadline: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """All sessions that the worker saw at one tick."""

    written_at: datetime
    runtime: str
    sessions: tuple[SessionDeadline, ...]


def write_deadlines(path: Path, some: Deadlines) -> None:
    """Replace the file durably."""
    body = {
        "version": _VERSION,
        "written_at": some.written_at.isoformat(),
        "runtime": some.runtime,
        "sessions": [
            {"ref": one.ref, "lease_id": one.lease_id, "deadline": one.deadline.isoformat()}
            for one in some.sessions
        ],
    }
    draft = path.with_suffix(".tmp")
    with draft.open("w") as handle:
        json.dump(body, handle)
        failpoint("deadlines_drafted")
        handle.flush()
        os.fsync(handle.fileno())
    draft.replace(path)


def read_deadlines(path: Path) -> Deadlines | None:
    """Read the file; None when it is not there.

    Raises:
        ValueError: when it says something else than deadlines.

    """
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    try:
        return _deadlines(json.loads(text))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} holds no deadlines: {error}") from error


def _deadlines(body: Any) -> Deadlines:
    if body["version"] != _VERSION:
        raise ValueError(f"deadlines of version {body['version']} are not understood")
    return Deadlines(
        written_at=_instant(body["written_at"]),
        runtime=str(body["runtime"]),
        sessions=tuple(
            SessionDeadline(
                ref=str(one["ref"]),
                lease_id=str(one["lease_id"]),
                deadline=_instant(one["deadline"]),
            )
            for one in body["sessions"]
        ),
    )


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"an instant without a time zone: {text}")
    return at
