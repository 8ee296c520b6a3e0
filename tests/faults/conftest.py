"""Databases of its own for each test that kills, replaces or restores one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from quota.store.engine import open_engine
from quota.store.migrate import upgrade
from tests.faults.crashes import postgres_copies, sqlite_copies


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def own_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of migrated books that nobody else uses."""
    if request.param == "sqlite":
        with sqlite_copies(tmp_path) as make:
            yield make()
        return
    with postgres_copies(request.getfixturevalue("postgres_url"), "own") as make:
        yield make()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Engine]:
    """Migrated books in a file of the test's own."""
    opened = open_engine(f"sqlite:///{tmp_path}/books.sqlite")
    upgrade(opened)
    yield opened
    opened.dispose()
