"""Migrations: forward, back, killed in the middle; on both databases."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, inspect, text

from quota.store.engine import open_engine, transaction
from quota.store.migrate import differences, downgrade, is_current, upgrade
from tests.quota.books import Desk

# From before the first statement to after the commit.
FEW_KILLS_S = (0, 0.1, 0.2)
MANY_KILLS_S = tuple(0.04 * number for number in range(10))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def bare_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of its own without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/books.sqlite"
        return
    url: str = request.getfixturevalue("postgres_url")
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("CREATE DATABASE bare"))
    yield url.replace("/books?", "/bare?")
    with admin.connect() as connection:
        connection.execute(text("DROP DATABASE bare WITH (FORCE)"))
    admin.dispose()


@pytest.fixture
def bare(bare_url: str) -> Iterator[Engine]:
    engine = open_engine(bare_url)
    yield engine
    engine.dispose()


def test_forward_equals_the_tables_in_the_code_and_back_leaves_nothing(bare: Engine) -> None:
    assert not is_current(bare)
    upgrade(bare)
    assert is_current(bare)
    assert differences(bare) == []
    upgrade(bare)
    downgrade(bare, "base")
    assert not is_current(bare)
    assert inspect(bare).get_table_names() == ["alembic_version"]
    upgrade(bare)
    assert differences(bare) == []


def test_a_difference_would_be_seen(bare: Engine) -> None:
    """The negative control."""
    upgrade(bare)
    with transaction(bare) as tx:
        tx.execute(text("ALTER TABLE counters ADD COLUMN more BIGINT"))
    assert len(differences(bare)) == 1


def test_each_step_keeps_what_is_in_the_books(bare: Engine) -> None:
    upgrade(bare)
    desk = Desk(bare)
    _lease_id, ref = desk.run()
    desk.go(minutes=20, every_s=300)
    desk.finish(ref)
    desk.tick()
    before = desk.balance()
    downgrade(bare, "0001")
    assert not is_current(bare)
    upgrade(bare)
    assert desk.balance() == before
    desk.check()


_MIGRATE = """
import sys
from quota.store.engine import open_engine
from quota.store.migrate import upgrade
engine = open_engine(sys.argv[1])
print("ready", flush=True)
upgrade(engine)
print("done", flush=True)
"""


@pytest.mark.parametrize(
    "kills_s", [FEW_KILLS_S, pytest.param(MANY_KILLS_S, marks=pytest.mark.long)]
)
def test_p33_a_killed_migration_is_whole_or_not_at_all(
    bare_url: str, kills_s: tuple[float, ...]
) -> None:
    """Whatever a kill left, the next run completes."""
    for after_s in kills_s:
        _kill_a_migration(bare_url, after_s=after_s)
        engine = open_engine(bare_url)
        _wait_for_locks(engine)
        tables = inspect(engine).get_table_names()
        assert tables == [] or is_current(engine), tables
        upgrade(engine)
        assert is_current(engine)
        assert differences(engine) == []
        downgrade(engine, "base")
        with transaction(engine) as tx:
            tx.execute(text("DROP TABLE alembic_version"))
        engine.dispose()


def _kill_a_migration(url: str, *, after_s: float) -> None:
    with subprocess.Popen([sys.executable, "-c", _MIGRATE, url], stdout=subprocess.PIPE) as one:
        assert one.stdout is not None
        assert one.stdout.readline() == b"ready\n"
        time.sleep(after_s)  # not a wait for anything: the instant of the kill
        os.kill(one.pid, signal.SIGKILL)


def _wait_for_locks(engine: Engine) -> None:
    """PostgreSQL notices a dead client when it next speaks to it: until then it may finish."""
    if engine.dialect.name != "postgresql":
        return
    others = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                  "AND pid <> pg_backend_pid()")  # fmt: skip
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with engine.connect() as connection:
            if connection.execute(others).scalar_one() == 0:
                return
        time.sleep(0.05)
    pytest.fail("the killed client's transaction is still there")
