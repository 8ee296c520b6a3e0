"""Fixtures for all tests: every test of the books runs on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from quota.store.engine import open_engine
from quota.store.migrate import upgrade
from tests.postgres import throwaway_postgres
from tests.quota.memory import empty


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
        empty(shared)
        return
    engine = open_engine(f"sqlite:///{tmp_path}/books.sqlite", pool_size=20)
    upgrade(engine)
    yield engine
    engine.dispose()
