"""Fixtures for all tests: every test of the books runs on SQLite and on PostgreSQL."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
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


@pytest.fixture(scope="session")
def empty_books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of migrated books, to be copied: migrating anew takes longer than most tests."""
    path = tmp_path_factory.mktemp("empty") / "books.sqlite"
    engine = open_engine(f"sqlite:///{path}")
    upgrade(engine)
    engine.dispose()
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "postgres":
        shared: Engine = request.getfixturevalue("postgres_engine")
        yield shared
        empty(shared)
        return
    path = shutil.copy(request.getfixturevalue("empty_books"), tmp_path / "books.sqlite")
    engine = open_engine(f"sqlite:///{path}", pool_size=20)
    yield engine
    engine.dispose()


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and config.pluginmanager.has_plugin("cacheprovider"):
        config.pluginmanager.register(Passes(config), "gpulab-passes")


class Passes:
    """Notes when each test last passed in all its sizes, for docs/promises.md."""

    def __init__(self, config: pytest.Config) -> None:
        self._cache = config.cache
        self._ended: dict[str, bool] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.partition("[")[0]
        if report.failed:
            self._ended[name] = False
        elif report.when == "call" and report.passed:
            self._ended.setdefault(name, True)

    def pytest_sessionfinish(self) -> None:
        if self._cache is None:
            return
        today = datetime.now(UTC).date().isoformat()
        known = dict(self._cache.get("gpulab/passed", {}))
        for name, has_passed in self._ended.items():
            if has_passed:
                known[name] = today
            else:
                known.pop(name, None)
        self._cache.set("gpulab/passed", known)
