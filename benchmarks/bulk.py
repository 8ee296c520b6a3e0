"""Writing whole books at once, past the use cases: SQLite by its driver, PostgreSQL by COPY.

One process composes the rows, another writes them. What is made in one go needs no durable
commits, and indexes are faster to build when all rows are there.
"""

import gc
import multiprocessing
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from multiprocessing.connection import Connection as Pipe
from typing import Any

from sqlalchemy import Connection, Table, Uuid, event, text

from benchmarks.lives import Person
from quota.store.engine import open_engine, transaction
from quota.store.patience import be_patient
from quota.store.tables import accounts, entries, leases, lots

_ENTRY_COLUMNS = (
    "seq", "part", "posted", "held", "from_at", "until_at", "at", "transfer_id", "lot_id",
    "lease_id", "kind", "author", "reason", "hash", "account_id",
)  # fmt: skip
_TABLES = {one.name: one for one in (accounts, lots, leases, entries)}
_AT_ONCE = 100
# The cache is for the index of five million transfers, whose ids come in no order.
_HURRY = ("journal_mode = MEMORY", "synchronous = OFF", "cache_size = -1500000",
          "foreign_keys = OFF")  # fmt: skip
_INDEXES = {
    "sqlite": """
SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL
AND tbl_name IN ('lots', 'leases', 'entries')
""",
    "postgresql": r"""
SELECT indexname, indexdef FROM pg_indexes WHERE indexname LIKE 'ix\_%'
AND tablename IN ('lots', 'leases', 'entries')
""",
}

Rows = list[list[Any]]
Part = list[tuple[str, Sequence[str], Rows]]
"""Table, columns and rows; ids are the 32 digits that SQLAlchemy writes."""


def write_people(url: str, people: Iterable[Person]) -> None:
    """Write accounts with all that they did."""
    engine = open_engine(url, pool_size=1)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _hurry)
    put = _insert if engine.dialect.name == "sqlite" else _copy
    # One transaction: each commit would write nearly all pages of the index of transfers.
    with _without_collection(), transaction(engine) as tx, _indexes_last(tx):
        be_patient(tx)
        for part in _composed_ahead(people):
            for name, columns, rows in part:
                put(tx, name, columns, rows)
    engine.dispose()


@contextmanager
def _without_collection() -> Iterator[None]:
    """Leave rows alone: they are millions, and none is part of a cycle."""
    gc.disable()
    yield
    gc.enable()


# -- composing, in a process of its own -----------------------------------------------------------


def _composed_ahead(people: Iterable[Person]) -> Iterator[Part]:
    """Let another process compose the next rows while these are written."""
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_send_parts, args=(people, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        # A pipe that is full makes the other wait, so that memory stays small.
        while part := mine.recv():
            yield part
    finally:
        mine.close()
        process.join()


def _send_parts(people: Iterable[Person], to: Pipe) -> None:
    todo = iter(people)
    while some := list(islice(todo, _AT_ONCE)):
        to.send(_part(some))
    to.send(None)


def _part(some: Sequence[Person]) -> Part:
    # An account's row tells its head, which is known when its entries have been composed.
    found = [[*row, one.id] for one in some for row in one.entries()]
    return [
        _table("accounts", [one.account() for one in some]),
        _table("lots", [row for one in some for row in one.lots()]),
        _table("leases", [row for one in some for row in one.leases()]),
        ("entries", _ENTRY_COLUMNS, _with_digits("entries", _ENTRY_COLUMNS, found)),
    ]


def _table(name: str, rows: Sequence[dict[str, Any]]) -> tuple[str, Sequence[str], Rows]:
    columns = list(rows[0])
    return name, columns, _with_digits(name, columns, [list(row.values()) for row in rows])


def _with_digits(name: str, columns: Sequence[str], rows: Rows) -> Rows:
    table: Table = _TABLES[name]
    ids = [place for place, one in enumerate(columns) if isinstance(table.c[one].type, Uuid)]
    for row in rows:
        for place in ids:
            if row[place] is not None:
                row[place] = row[place].hex()
    return rows


# -- writing --------------------------------------------------------------------------------------


def _hurry(connection: Any, _record: Any) -> None:
    for pragma in _HURRY:
        connection.execute(f"PRAGMA {pragma}")


@contextmanager
def _indexes_last(tx: Connection) -> Iterator[None]:
    """Build indexes when all rows are there; those of constraints cannot wait."""
    if tx.dialect.name == "postgresql":
        # No look for the account of every entry; SQLite's connection does without, too.
        tx.execute(text("SET LOCAL session_replication_role = replica"))
    indexes = tx.execute(text(_INDEXES[tx.dialect.name])).all()
    for name, _ in indexes:
        tx.execute(text(f"DROP INDEX {name}"))
    yield
    for _, statement in indexes:
        tx.execute(text(statement))


def _insert(tx: Connection, name: str, columns: Sequence[str], rows: Rows) -> None:
    marks = ", ".join("?" * len(columns))
    statement = f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608
    driver: Any = tx.connection.driver_connection
    driver.executemany(statement, rows)


def _copy(tx: Connection, name: str, columns: Sequence[str], rows: Rows) -> None:
    """Copy into PostgreSQL; no text in these books has a tab or a backslash in it."""
    driver: Any = tx.connection.driver_connection
    lines = ("\t".join([_copied(value) for value in row]) + "\n" for row in rows)
    with driver.cursor().copy(f"COPY {name} ({', '.join(columns)}) FROM STDIN") as copy:
        copy.write("".join(lines))


def _copied(value: object) -> str:
    if value is None:
        return r"\N"
    return rf"\\x{value.hex()}" if isinstance(value, bytes) else str(value)
