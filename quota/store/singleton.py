"""One holder at a time: a lock that dies with its process."""

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from quota.store.engine import open_engine

_TRY_EVERY_S = 2.0
# Any fixed number; all lockers of one database must agree on it.
_LOCK_KEYS = {"worker": 7_204_511}


@contextmanager
def sole_holder(url: str, name: str, *, give_up: threading.Event) -> Iterator[None]:
    """Wait until nobody else holds the role, then hold it until the block ends.

    SQLite: a lock on a file beside the database. PostgreSQL: an advisory lock held by one open
    transaction, which also works behind a pooler that shares sessions.
    """
    if make_url(url).get_backend_name() == "sqlite":
        with _file_lock(Path(f"{make_url(url).database}.{name}.lock"), give_up):
            yield
    else:
        with _advisory_lock(url, _LOCK_KEYS[name], give_up):
            yield


@contextmanager
def _file_lock(path: Path, give_up: threading.Event) -> Iterator[None]:
    with path.open("w") as handle:
        while not give_up.is_set():
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                give_up.wait(_TRY_EVERY_S)
        yield


@contextmanager
def _advisory_lock(url: str, key: int, give_up: threading.Event) -> Iterator[None]:
    engine = open_engine(url, pool_size=1)
    try:
        with engine.connect() as connection:
            # The lock's transaction stays open for the life of the worker by design.
            connection.execute(text("SET idle_in_transaction_session_timeout = 0"))
            while not give_up.is_set():
                query = text("SELECT pg_try_advisory_xact_lock(:key)")
                if connection.execute(query, {"key": key}).scalar_one():
                    break
                give_up.wait(_TRY_EVERY_S)
            yield
    except OperationalError:
        # The database went away and the lock with it: whoever supervises starts us again.
        raise SystemExit(1) from None
    finally:
        engine.dispose()
