"""An empty database for each simulated class: a new SQLite file, or a new one on a cluster."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url

from quota.store.engine import open_engine
from quota.store.migrate import upgrade


@contextmanager
def empty_books(url: str | None, name: str) -> Iterator[Engine]:
    """Open new books, on the PostgreSQL cluster of a URL or else in a file; at the end drop them.

    Nothing in the database that the URL names is touched; the role has to be allowed to create
    databases.
    """
    if url is None:
        with (
            tempfile.TemporaryDirectory(prefix="gpulab-sim-") as folder,
            _opened(f"sqlite:///{Path(folder) / 'books.sqlite'}") as engine,
        ):
            yield engine
        return
    _on_cluster(url, f'DROP DATABASE IF EXISTS "{name}"', f'CREATE DATABASE "{name}"')
    try:
        own = make_url(url).set(database=name).render_as_string(hide_password=False)
        with _opened(own) as engine:
            yield engine
    finally:
        _on_cluster(url, f'DROP DATABASE IF EXISTS "{name}"')


@contextmanager
def _opened(url: str) -> Iterator[Engine]:
    engine = open_engine(url, pool_size=2)
    try:
        upgrade(engine)
        yield engine
    finally:
        engine.dispose()


def _on_cluster(url: str, *statements: str) -> None:
    engine = open_engine(url, pool_size=1)
    try:
        # No database is made or dropped in a transaction.
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for statement in statements:
                connection.execute(text(statement))
    finally:
        engine.dispose()
