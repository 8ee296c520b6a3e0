"""Counting the sections for the metrics, beside the worker's tick."""

import threading
import time

import structlog

from api.after_ticks import after_ticks
from quota.census import take_census
from quota.errors import BooksUnavailable
from quota.service import Books

log = structlog.get_logger()

_EVERY_S = 60.0
# In a very large lab it is done more seldom: never does it take more than this part of the time.
_MOST_SHARE = 0.05


class Census:
    """Counts once a minute at most; nothing waits for it."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._next_s = 0.0
        self.ticked = threading.Event()

    def run(self, stopped: threading.Event) -> None:
        """Count after the tick at which it is due, until told to stop."""
        after_ticks(self.ticked, stopped, self.try_count)

    def try_count(self) -> None:
        """Count if it is time; what fails is tried again at the next tick."""
        began = time.monotonic()
        if began < self._next_s:
            return
        try:
            take_census(self._books)
        except BooksUnavailable as error:
            log.warning("census_failed", error=type(error).__name__)
            return
        except Exception:
            log.exception("census_broken", alarm=True)
        took_s = time.monotonic() - began
        self._next_s = began + max(_EVERY_S, took_s / _MOST_SHARE)
