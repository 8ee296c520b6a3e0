"""One holder at a time: a lock that dies with its process."""

import fcntl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from quota.store.engine import open_engine

_TRY_EVERY_S = 2.0
# Any fixed number; all lockers of one database must agree on it.
_LOCK_KEYS = {"worker": 7_204_511}


@contextmanager
def sole_holder(
    url: str, name: str, *, give_up: threading.Event,
    on_away: Callable[[], None] = lambda: None,
) -> Iterator[Callable[[], bool]]:  # fmt: skip
    """Wait until nobody else holds the role, then hold it until the block ends.

    Yields a question to ask before each piece of work: whether the role is still held. A
    database that was restarted has forgotten its locks; asking takes the lock again, unless
    somebody else was faster. `on_away` is called whenever the database does not answer.

    SQLite: a lock on a file beside the database. PostgreSQL: an advisory lock held by one open
    transaction, which also works behind a pooler that shares sessions.
    """
    with _lock_of(url, name, on_away) as take:
        while not give_up.is_set() and not take():
            give_up.wait(_TRY_EVERY_S)
        yield take


@contextmanager
def held_if_free(url: str, name: str) -> Iterator[bool]:
    """Hold a role until the block ends if nobody else does; tell whether that is so."""
    with _lock_of(url, name) as take:
        yield take()


@contextmanager
def _lock_of(
    url: str, name: str, on_away: Callable[[], None] = lambda: None
) -> Iterator[Callable[[], bool]]:
    """Yield what takes a lock, or tells that it is taken already; at the end it is given back."""
    if make_url(url).get_backend_name() == "sqlite":
        with Path(f"{make_url(url).database}.{name}.lock").open("w") as handle:
            yield lambda: _flock(handle.fileno())
        return
    lock = _AdvisoryLock(url, _LOCK_KEYS[name], on_away)
    try:
        yield lock.take
    finally:
        lock.close()


def _flock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class _AdvisoryLock:
    """PostgreSQL's lock of a transaction that stays open for the life of the holder by design."""

    def __init__(self, url: str, key: int, on_away: Callable[[], None]) -> None:
        self._engine = open_engine(url, pool_size=1)
        self._key = key
        self._on_away = on_away
        self._connection: Connection | None = None

    def take(self) -> bool:
        """Take the lock, or tell that this one has it; False while there is no database."""
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
                # Else a server that is set up so would end the transaction, and the lock with it.
                self._connection.execute(text("SET idle_in_transaction_session_timeout = 0"))
            # A lock that is held already is given again: this also asks whether the server lives.
            query = text("SELECT pg_try_advisory_xact_lock(:key)")
            return bool(self._connection.execute(query, {"key": self._key}).scalar_one())
        except DBAPIError:
            self._let_go()
            self._on_away()
            return False

    def close(self) -> None:
        """Give the lock back."""
        self._let_go()
        self._engine.dispose()

    def _let_go(self) -> None:
        if self._connection is not None:
            # Not back to the pool: what the server still has of it must end with it.
            self._connection.invalidate()
            self._connection.close()
            self._connection = None
