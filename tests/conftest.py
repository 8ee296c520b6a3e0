"""Fixtures for all tests: every test of the books runs on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, text

from quota.chain import GENESIS
from quota.store.engine import open_engine, transaction
from quota.store.migrate import upgrade
from quota.store.tables import audit_head, metadata
from tests.postgres import throwaway_postgres


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with throwaway_postgres() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_engine(postgres_url: str) -> Iterator[Engine]:
    engine = open_engine(postgres_url, pool_size=20)
    upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "postgres":
        shared: Engine = request.getfixturevalue("postgres_engine")
        yield shared
        _empty(shared)
        return
    engine = open_engine(f"sqlite:///{tmp_path}/books.sqlite", pool_size=20)
    upgrade(engine)
    yield engine
    engine.dispose()


def _empty(engine: Engine) -> None:
    """Empty all tables; the guards of the ledger and of the trail have to be lifted for that."""
    guards = (("entries", "entries_only_grow"), ("audit", "audit_only_grows"))
    with transaction(engine) as tx:
        for table, trigger in guards:
            tx.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}"))
        names = ", ".join(metadata.tables)
        tx.execute(text(f"TRUNCATE {names} RESTART IDENTITY"))
        tx.execute(insert(audit_head).values(id=1, seq=0, head=GENESIS))
        for table, trigger in guards:
            tx.execute(text(f"ALTER TABLE {table} ENABLE TRIGGER {trigger}"))
