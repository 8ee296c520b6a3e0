"""What was seen of sessions while the books could not be written: none of it may be lost.

What has ended stays at the runtime until its use is posted, so nearly always the runtime itself
remembers. A session that somebody removes by force while the database is away leaves no trace
there; for these the worker keeps a file, bounded and durable, and hands it to the books when they
are back.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog

from api.runtimes.protocol import Runtime, RuntimeUnavailable
from quota.clock import Clock
from quota.observed import Observed

log = structlog.get_logger()

# Some 4 MB, written anew at each pass while the database is away.
MOST_SESSIONS = 10_000
_VERSION = 1
_INSTANTS = ("started_at", "finished_at", "emergency_until")
_NONSENSE = (KeyError, TypeError, ValueError, AttributeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A session as it was seen last, and when."""

    one: Observed
    seen_at: datetime


Seen = Mapping[str, Sighting]


def joined(before: Seen, observed: Iterable[Observed], *, seen_at: datetime, most: int) -> Seen:
    """Add what is seen now; what is not there any more stays as it was seen last.

    There is room for so many; what was seen first keeps its place.
    """
    after = dict(before)
    for one in observed:
        if one.started_at is not None and (one.ref in after or len(after) < most):
            after[one.ref] = Sighting(one=one, seen_at=seen_at)
    return after


def with_missing(observed: list[Observed], seen: Seen) -> list[Observed]:
    """Add what was seen and has vanished since: it ended when it was seen last."""
    present = {one.ref for one in observed}
    gone = (sighting for ref, sighting in seen.items() if ref not in present)
    return observed + [_ended(sighting) for sighting in gone]


def _ended(sighting: Sighting) -> Observed:
    one = sighting.one
    if not one.is_running:
        return one
    assert one.started_at is not None, "it runs"
    return replace(one, finished_at=max(one.started_at, sighting.seen_at), ended_how="vanished")


class Sightings:
    """The file, and what could not be written into it; no path: kept in memory only."""

    def __init__(self, path: Path | None, *, most: int = MOST_SESSIONS) -> None:
        self._path = path
        self._most = most
        self._seen: Seen = self._read()
        self._is_told = False

    def complete(self, observed: list[Observed]) -> list[Observed]:
        """Return what the books have to know: what is there, and what vanished meanwhile."""
        return with_missing(observed, self._seen)

    def keep(self, observed: list[Observed], *, seen_at: datetime) -> None:
        """Remember what is seen while the books cannot be written."""
        # Another worker that waits for its turn may have written too.
        before = {**self._read(), **self._seen}
        self._seen = joined(before, observed, seen_at=seen_at, most=self._most)
        lost = sum(one.started_at is not None and one.ref not in self._seen for one in observed)
        if lost:
            log.error("sightings_lost", sessions=lost, room=self._most, alarm=True)
        elif 2 * len(self._seen) >= self._most and not self._is_told:
            self._is_told = True
            log.warning("sightings_half_full", sessions=len(self._seen), room=self._most,
                        alarm=True)  # fmt: skip
        self._write()

    def look(self, runtime: Runtime, clock: Clock) -> None:
        """Look at the runtime for the file alone, and remember what runs and what has ended."""
        seen_at = clock.now()
        try:
            observed = runtime.observe()
        except RuntimeUnavailable as error:
            log.warning("runtime_not_seen", error=str(error)[:200])
            return
        self.keep(observed, seen_at=seen_at)

    def forget(self) -> None:
        """Let go of everything: it is in the books."""
        if not self._seen:
            return
        self._seen, self._is_told = {}, False
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        if self._path is None:
            return
        body = {"version": _VERSION, "sessions": [_written(one) for one in self._seen.values()]}
        draft = self._path.with_suffix(".tmp")
        try:
            with draft.open("w") as handle:
                json.dump(body, handle)
                handle.flush()
                os.fsync(handle.fileno())
            draft.replace(self._path)
        except OSError as error:
            # As long as this process lives it still knows; a full disk is the operator's to mend.
            log.error("sightings_not_written", error=str(error), alarm=True)

    def _read(self) -> Seen:
        if self._path is None:
            return {}
        try:
            body = json.loads(self._path.read_text())
            if body["version"] != _VERSION:
                raise ValueError(f"version {body['version']} is not understood")
            found = [_read(saved) for saved in body["sessions"]]
        except FileNotFoundError:
            return {}
        except (OSError, *_NONSENSE) as error:
            log.error("sightings_not_read", error=str(error), alarm=True)
            return {}
        return {sighting.one.ref: sighting for sighting in found}


def _written(sighting: Sighting) -> dict[str, Any]:
    one = {field.name: getattr(sighting.one, field.name) for field in fields(Observed)}
    plain = {name: str(value) if isinstance(value, UUID | datetime) else value
             for name, value in one.items()}  # fmt: skip
    return {**plain, "seen_at": sighting.seen_at.isoformat()}


def _read(saved: dict[str, Any]) -> Sighting:
    one = dict(saved)
    seen_at = _instant(one.pop("seen_at"))
    for name in _INSTANTS:
        # A file of the version before lacks what came since.
        one[name] = None if one.get(name) is None else _instant(one[name])
    one["lease_id"] = None if one["lease_id"] is None else UUID(one["lease_id"])
    return Sighting(one=Observed(**one), seen_at=seen_at)


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"an instant without a time zone: {text}")
    return at
