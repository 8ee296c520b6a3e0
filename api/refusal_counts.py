"""Why starts were refused, counted for the report of a week.

A refusal is answered without a write, so that whoever asks in a loop costs the books nothing. The
counts are written together, once a minute and at the end; a killed service loses a minute's.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from fastapi import Request

from api.repeating import repeating
from quota.daily import note_refused
from quota.errors import BooksUnavailable, Refusal
from quota.service import Books

log = structlog.get_logger()

_WRITES_EVERY_S = 60.0
_STARTS = "/v1/leases/"


class RefusalCounts:
    """What was refused since the last write; used by one event loop."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._counts: Counter[str] = Counter()

    def note(self, request: Request, refusal: Refusal) -> None:
        """Count the refusal of a start; others are no concern of a week's report."""
        if request.method == "PUT" and request.url.path.startswith(_STARTS):
            self._counts[refusal.code] += 1

    @asynccontextmanager
    async def written(self) -> AsyncIterator[None]:
        """Write the counts from time to time while the block runs, and once more after it."""
        async with repeating(self._write, every_s=_WRITES_EVERY_S):
            yield
        await self._write()

    async def _write(self) -> None:
        counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            await asyncio.to_thread(note_refused, self._books, counts)
        except BooksUnavailable:
            log.warning("refusals_not_written")
            self._counts += counts
