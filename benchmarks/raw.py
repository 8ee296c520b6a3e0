"""Plain SQL that commits three rows durably: what one admission could cost at the very least."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg

from quota.store.engine import BUSY_TIMEOUT_MS, journal_mode

_TABLES = (
    "CREATE TABLE raw_accounts (id INTEGER PRIMARY KEY, balance BIGINT NOT NULL)",
    "CREATE TABLE raw_leases (id TEXT PRIMARY KEY, account INTEGER, state TEXT, hold BIGINT)",
    """CREATE TABLE raw_entries (account INTEGER, seq BIGINT, amount BIGINT, hash TEXT,
                                PRIMARY KEY (account, seq))""",
)
_NEW_ACCOUNT = "INSERT INTO raw_accounts VALUES ({}, 1000000)"

Commit = Callable[[], None]


def make_tables(url: str, folder: Path, clients: int = 1) -> None:
    """Make the tables with an account for each client."""
    statements = [*_TABLES, *(_NEW_ACCOUNT.format(number) for number in range(1, clients + 1))]
    if url.startswith("sqlite"):
        connection = _open_sqlite(folder)
        for statement in statements:
            connection.execute(statement)
        connection.close()
        return
    with psycopg.connect(_dsn(url)) as connection:
        for statement in statements:
            connection.execute(statement)


@contextmanager
def raw_commits(url: str, folder: Path, account: int = 1) -> Iterator[Commit]:
    """Yield a function that commits three rows of one account."""
    if url.startswith("sqlite"):
        connection = _open_sqlite(folder)

        def execute(sql: str, values: tuple[object, ...]) -> None:
            if not connection.in_transaction:
                connection.execute("BEGIN IMMEDIATE")
            connection.execute(sql, values)

        yield _committer(execute, lambda: connection.execute("COMMIT"), "?", account)
        connection.close()
        return
    with psycopg.connect(_dsn(url)) as server:
        yield _committer(server.execute, server.commit, "%s", account)


def _open_sqlite(folder: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(folder / "raw.sqlite", isolation_level=None)
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    connection.execute(f"PRAGMA journal_mode = {journal_mode(sqlite3.sqlite_version_info)}")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _dsn(url: str) -> str:
    return url.replace("postgresql+psycopg", "postgresql")


def _committer(
    execute: Callable[..., object], commit: Callable[[], object], mark: str, account: int
) -> Commit:
    seq = 0
    use = "UPDATE raw_accounts SET balance = balance - 1 WHERE id = ?".replace("?", mark)
    new_lease = "INSERT INTO raw_leases VALUES (?, ?, 'held', 60)".replace("?", mark)
    new_entry = "INSERT INTO raw_entries VALUES (?, ?, 60, ?)".replace("?", mark)

    def commit_three() -> None:
        nonlocal seq
        seq += 1
        lease = uuid4().hex
        execute(use, (account,))
        execute(new_lease, (lease, account))
        execute(new_entry, (account, seq, lease * 2))
        commit()

    return commit_three
