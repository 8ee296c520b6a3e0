"""Opening the database of the books, and the only way to a transaction.

SQLite: journal mode WAL only on versions without the WAL-reset fault (lost commits when several
connections write; https://sqlite.org/wal.html#walresetbug), otherwise DELETE; always synchronous
FULL and BEGIN IMMEDIATE, so that a writer holds the lock before it reads. PostgreSQL: READ
COMMITTED with row locks taken by the readers in `quota.store.reads`.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg.errors import DivisionByZero
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool

from quota.errors import BooksUnavailable
from quota.failpoints import failpoint
from quota.store.patience import make_impatient
from quota.store.statements import OvertakenError, written_point
from quota.store.wire import BooksConnection

BUSY_TIMEOUT_MS = 5000
_READ = "gpulab_read_only"


def open_engine(url: str, *, pool_size: int = 5) -> Engine:
    """Open the books at a SQLAlchemy URL (`sqlite:///...` or `postgresql+psycopg://...`)."""
    kind = make_url(url).get_backend_name()
    if kind == "sqlite":
        engine = create_engine(
            url,
            poolclass=QueuePool,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=BUSY_TIMEOUT_MS / 1000,
            connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000},
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    options = f"-c lock_timeout={BUSY_TIMEOUT_MS} -c statement_timeout=30000"
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=BUSY_TIMEOUT_MS / 1000,
        # BEGIN is ours here, too, so that it goes with the first question.
        isolation_level="AUTOCOMMIT",
        connect_args={
            "options": options,
            "connect_timeout": 2,
            "client_encoding": "utf8",
            # `quota.store.wire` prepares; the driver would clear away what it did not make.
            "prepare_threshold": None,
        },
    )
    make_impatient(engine, BooksConnection)
    event.listen(engine, "begin", _begin_postgres)
    return engine


def journal_mode(version: tuple[int, int, int]) -> str:
    """Choose the journal by SQLite's version: WAL where its reset fault is mended."""
    is_mended = version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51, 0)
    is_mended = is_mended or (3, 44, 6) <= version < (3, 45, 0)
    return "WAL" if is_mended or version < (3, 7, 0) else "DELETE"


@contextmanager
def transaction(engine: Engine, *, step: str = "") -> Iterator[Connection]:
    """Open a writing transaction; it commits at the end and rolls back on any exception.

    `step` names the use case for `quota.failpoints`.

    Raises:
        BooksUnavailable: when the database is locked, full or gone.
        OvertakenError: a slot that was to be taken late was gone.

    """
    with _translated(), engine.begin() as connection:
        yield connection
        written_point(connection, f"{step}.written")
    failpoint(f"{step}.committed")


@contextmanager
def reading(engine: Engine, *, as_of_now: bool = False) -> Iterator[Connection]:
    """Open a transaction that only reads; it takes no writer's lock.

    With `as_of_now` all its queries see the same instant, for checks that compare them.
    """
    options: dict[str, Any] = {_READ: True}
    if as_of_now and engine.dialect.name == "postgresql":  # SQLite never reads otherwise
        options["isolation_level"] = "REPEATABLE READ"
    with _translated(), engine.connect().execution_options(**options) as connection:
        connection.begin()
        yield connection
        if engine.dialect.name == "postgresql":
            # It was READ ONLY; a rollback would make the driver forget its prepared statements.
            connection.commit()
        else:
            connection.rollback()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        raise BooksUnavailable(str(error.orig)) from error
    except PoolTimeout as error:
        raise BooksUnavailable("all connections to the database are busy") from error
    except DBAPIError as error:
        # The only one of our statements that divides: see `slots.take_gpu_late`.
        if isinstance(error.orig, DivisionByZero):
            raise OvertakenError from error
        if error.connection_invalidated:
            raise BooksUnavailable(str(error.orig)) from error
        raise


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own transactions are off: BEGIN is ours, below.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.execute(f"PRAGMA journal_mode = {journal_mode(sqlite3.sqlite_version_info)}")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    # Without it INSERT OR REPLACE would remove ledger rows past the trigger that forbids it.
    cursor.execute("PRAGMA recursive_triggers = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    is_reading = connection.get_execution_options().get(_READ, False)
    connection.exec_driver_sql("BEGIN" if is_reading else "BEGIN IMMEDIATE")


def _begin_postgres(connection: Connection) -> None:
    options = connection.get_execution_options()
    level = options.get("isolation_level", "READ COMMITTED")
    driver = connection.connection.dbapi_connection
    assert isinstance(driver, BooksConnection)
    if level != "AUTOCOMMIT":
        access = "READ ONLY" if options.get(_READ, False) else "READ WRITE"
        driver.later(f"BEGIN ISOLATION LEVEL {level} {access}")


def ping(engine: Engine) -> None:
    """Ask the database for anything at all.

    Raises:
        BooksUnavailable: when it does not answer.

    """
    with reading(engine) as connection:
        connection.execute(text("SELECT 1"))
