"""lab.yaml as a running process sees it: read at start, read again when it changes.

A file that became wrong is reported and the last good policy stays in force.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import structlog

from api.repeating import repeating
from quota.errors import BooksUnavailable
from quota.lab import Lab
from quota.lab_file import LabFileError, load_lab
from quota.service import Books

log = structlog.get_logger()

_LOOK_EVERY_S = 5.0


class Policy(Protocol):
    """The rules in force, for whoever does not watch the file itself."""

    @property
    def lab(self) -> Lab:
        """What it said last."""

    def refresh(self) -> bool:
        """Look again; tell whether there is a new policy."""


class LabFile:
    """The policy file and what it said last."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = self._read_stamp()
        self.lab: Lab = load_lab(path)

    def refresh(self) -> bool:
        """Read the file again if it changed; tell whether there is a new policy."""
        stamp = self._read_stamp()
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            self.lab = load_lab(self._path)
        except (LabFileError, OSError) as error:
            log.error("lab_file_refused", error=str(error)[:2000])
            return False
        log.info("lab_file_read", lab=self.lab.name)
        return True

    @asynccontextmanager
    async def watched(self, books: Books) -> AsyncIterator[None]:
        """Keep the books on the newest policy: the file's, and what organizers changed since."""
        await asyncio.to_thread(_follow_changes, books)

        async def follow() -> None:
            # In a thread: a large lab takes a while, and the service answers meanwhile.
            await asyncio.to_thread(self._follow, books)

        async with repeating(follow, every_s=_LOOK_EVERY_S):
            yield

    def _follow(self, books: Books) -> None:
        if self.refresh():
            books.lab = self.lab
        _follow_changes(books)

    def _read_stamp(self) -> tuple[int, int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return (0, 0, 0)
        return (found.st_mtime_ns, found.st_size, found.st_ino)


def _follow_changes(books: Books) -> None:
    left_out = books.rules.left_out
    try:
        books.reload_rules()
    except BooksUnavailable as error:
        log.warning("rules_not_read", error=str(error))
        return
    if books.rules.left_out and books.rules.left_out != left_out:
        log.error("rules_left_out", rules=list(books.rules.left_out)[:20])
