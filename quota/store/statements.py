"""Statements of the paths that people wait for, and how several go to the database at once.

PostgreSQL: what is asked together goes in one round trip, and what is written waits for the next
question or for the commit and goes with it. Each statement still sees what was committed when it
runs, as if sent alone: a row that is read after a lock is as the lock's last holder left it.
SQLite is in the same process: there each runs at once. See docs/decisions/0011-round-trips.md.

A statement is put together by SQLAlchemy once and then runs on the driver; what the driver says
of errors is told in SQLAlchemy's words.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, cast

from sqlalchemy import Connection, Delete, Insert, Select, Update
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError

from quota.failpoints import failpoint, is_armed
from quota.store.wire import BooksConnection, Call

Row: TypeAlias = Sequence[Any]


class OvertakenError(Exception):
    """Somebody else was faster, and nothing of this transaction is written: to be tried again."""


class _Answer(Protocol):
    """What a cursor of SQLite's driver and an answer of ours have in common."""

    @property
    def rowcount(self) -> int: ...
    def fetchall(self) -> list[Any]: ...


_Convert: TypeAlias = Callable[[Any], Any]

# Both with parameters by place: nothing has to be looked up by name on the way.
_DIALECTS: dict[str, Dialect] = {
    "sqlite": sqlite_dialect(paramstyle="qmark"),
    "postgresql": PGDialect_psycopg(paramstyle="numeric_dollar"),  # type: ignore[no-untyped-call]
}


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A statement as one kind of database takes it: what goes in, and what is made of columns."""

    sql: str
    given: tuple[tuple[str, _Convert | None, Any], ...]
    columns: tuple[tuple[int, _Convert], ...]

    def values(self, params: Mapping[str, Any]) -> list[Any]:
        """Put the parameters into their places."""
        return [
            params.get(name, fixed) if convert is None else convert(params.get(name, fixed))
            for name, convert, fixed in self.given
        ]

    def rows(self, found: Iterable[Row]) -> list[Row]:
        """Turn what the driver found into values of the books."""
        if not self.columns:
            return list(found)
        rows = []
        for row in map(list, found):
            for place, convert in self.columns:
                row[place] = convert(row[place])
            rows.append(row)
        return cast("list[Row]", rows)


class Statement:
    """A statement with named parameters, compiled once for each kind of database."""

    def __init__(self, statement: Select[Any] | Insert | Update | Delete) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def on(self, kind: str) -> _Compiled:
        """Return it as a kind of database takes it."""
        found = self._compiled.get(kind)
        if found is None:
            found = self._compiled[kind] = _compile(self._statement, _DIALECTS[kind])
        return found


Asked: TypeAlias = tuple[Statement, Mapping[str, Any]]


def fetch(tx: Connection, *asked: Asked) -> list[list[Row]]:
    """Ask several things at once; the rows of each, in the order of its columns."""
    ready = [(one.on(tx.dialect.name), params) for one, params in asked]
    with _Errors(tx):
        answers = _send(tx, [(one.sql, one.values(params)) for one, params in ready])
        found = [one.fetchall() for one in answers]
    return [one.rows(rows) for (one, _), rows in zip(ready, found, strict=True)]


def fetch_bare(tx: Connection, statement: Statement, params: Mapping[str, Any]) -> list[Row]:
    """Ask, and return rows as the driver found them: to be compared, not to be understood."""
    ready = statement.on(tx.dialect.name)
    with _Errors(tx):
        return _send(tx, [(ready.sql, ready.values(params))])[0].fetchall()


def change(tx: Connection, statement: Statement, params: Mapping[str, Any]) -> int:
    """Change rows now and tell how many."""
    ready = statement.on(tx.dialect.name)
    with _Errors(tx):
        return _send(tx, [(ready.sql, ready.values(params))])[0].rowcount


def write(tx: Connection, statement: Statement, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows with the next question or the commit at the latest; nobody waits for it here."""
    ready = statement.on(tx.dialect.name)
    calls = [(ready.sql, ready.values(params)) for params in rows]
    driver = tx.connection.dbapi_connection
    with _Errors(tx):
        if not isinstance(driver, BooksConnection):
            _send(tx, calls)
            return
        _tell_listeners(tx, calls)
        for call in calls:
            driver.later(*call)


def written_point(tx: Connection, name: str) -> None:
    """Pass a failpoint that lies after writes: if it is armed, they have reached the database."""
    driver = tx.connection.dbapi_connection
    if is_armed(name) and isinstance(driver, BooksConnection):
        with _Errors(tx):
            driver.flush()
    failpoint(name)


def _send(tx: Connection, calls: Sequence[Call]) -> Sequence[_Answer]:
    _tell_listeners(tx, calls)
    driver = tx.connection.dbapi_connection
    if isinstance(driver, BooksConnection):
        return driver.together(calls)
    assert isinstance(driver, sqlite3.Connection)
    return [driver.execute(sql, values) for sql, values in calls]


class _Errors:
    """Tells errors of the driver as SQLAlchemy does, and parts with a connection that is dead."""

    __slots__ = ("_tx",)

    def __init__(self, tx: Connection) -> None:
        self._tx = tx

    def __enter__(self) -> None:
        return

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        dialect = self._tx.dialect
        driver_errors = dialect.loaded_dbapi.Error
        if error is None or not isinstance(error, driver_errors):
            return
        is_dead = dialect.is_disconnect(error, self._tx.connection.dbapi_connection, None)
        if is_dead:
            self._tx.invalidate(error)
        raise DBAPIError.instance(
            None, None, error, driver_errors, connection_invalidated=is_dead, dialect=dialect
        ) from error


def _tell_listeners(tx: Connection, calls: Sequence[Call]) -> None:
    """Let those who listen to an engine's statements know of ours: simulated faults, counts."""
    for listener in tx.dispatch.before_cursor_execute:
        for sql, values in calls:
            listener(tx, None, sql, values, None, False)


def _compile(statement: Select[Any] | Insert | Update | Delete, dialect: Dialect) -> _Compiled:
    made: Any = statement.compile(dialect=dialect)
    to_driver = made._bind_processors  # noqa: SLF001  # no public name; the types' own converters
    names: Sequence[str] = made.positiontup or ()
    fixed = made.construct_params(_check=False)
    types = [one.type for one in statement.selected_columns] if isinstance(
        statement, Select) else []  # fmt: skip
    from_driver = [one.dialect_impl(dialect).result_processor(dialect, None) for one in types]
    return _Compiled(
        sql=str(made),
        given=tuple((name, to_driver.get(name), fixed[name]) for name in names),
        columns=tuple((place, how) for place, how in enumerate(from_driver) if how is not None),
    )
