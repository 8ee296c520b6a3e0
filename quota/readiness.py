"""Asking the database whether it is there for reading and for writing."""

import time

from sqlalchemy import Engine

from quota.clock import Clock, to_ms
from quota.store import writes
from quota.store.engine import ping, transaction

# Whoever may ask, and however often: a commit costs the disk a flush.
_WRITE_EVERY_S = 1.0


class Readiness:
    """Writes a mark when it is asked: what is on a full disk can still be read."""

    def __init__(self, engine: Engine, clock: Clock, hub_id: str) -> None:
        self._engine = engine
        self._clock = clock
        self._hub_id = hub_id
        self._wrote_at_s = -_WRITE_EVERY_S

    def ask(self) -> None:
        """Ask whether the database answers, and takes what is written.

        Raises:
            BooksUnavailable: when it does not.

        """
        if time.monotonic() - self._wrote_at_s < _WRITE_EVERY_S:
            ping(self._engine)
            return
        with transaction(self._engine, step="ready") as tx:
            writes.set_counter(tx, "ready_at_ms", self._hub_id, to_ms(self._clock.now()))
        self._wrote_at_s = time.monotonic()
