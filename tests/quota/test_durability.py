"""P07, P09: what is written stays written; a full disk is survived."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text

from quota.audit import By
from quota.errors import BooksUnavailable
from quota.store.engine import journal_mode, open_engine, ping, reading, transaction
from quota.store.migrate import upgrade
from tests.quota.books import Desk, hours


@pytest.mark.parametrize(
    ("version", "mode"),
    [
        ((3, 7, 0), "DELETE"),  # the first with the fault
        ((3, 40, 1), "DELETE"),  # Debian 12
        ((3, 44, 5), "DELETE"),
        ((3, 44, 6), "WAL"),
        ((3, 45, 0), "DELETE"),
        ((3, 50, 6), "DELETE"),
        ((3, 50, 7), "WAL"),
        ((3, 51, 0), "DELETE"),
        ((3, 51, 2), "DELETE"),
        ((3, 51, 3), "WAL"),
        ((3, 60, 0), "WAL"),
    ],
)
def test_p07_wal_only_without_the_reset_fault(version: tuple[int, int, int], mode: str) -> None:
    assert journal_mode(version) == mode


def test_p07_pragmas_hold_on_every_pooled_connection(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/books.sqlite", pool_size=5)
    some = [engine.connect() for _ in range(5)]
    wanted = {"synchronous": 2, "foreign_keys": 1, "recursive_triggers": 1,
              "journal_mode": journal_mode(sqlite3.sqlite_version_info).lower()}  # fmt: skip
    for connection in some:
        for name, value in wanted.items():
            assert connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() == value, name
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() >= 5000
        connection.close()
    engine.dispose()


@pytest.mark.postgres
def test_p07_postgres_is_durable(postgres_engine: Engine) -> None:
    wanted = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on",
              "transaction_isolation": "read committed"}  # fmt: skip
    with reading(postgres_engine) as tx:
        for name, value in wanted.items():
            assert tx.execute(text(f"SHOW {name}")).scalar_one() == value, name


_COMMITS = 5
_WRITE = """
import sys
from sqlalchemy import event, text
from quota.store.engine import open_engine, transaction
engine = open_engine(sys.argv[1])
if len(sys.argv) > 2:
    def be_careless(connection, _record):
        connection.execute(sys.argv[2])
        connection.commit()
    event.listen(engine, "connect", be_careless)
if engine.dialect.name == "postgresql":
    with engine.connect() as connection:  # the pool has one, which writes below, too
        print(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one(), flush=True)
sys.stdin.readline()
for number in range(5):
    with transaction(engine) as tx:
        tx.execute(text("INSERT INTO counters VALUES (:name, '', 1)"), {"name": str(number)})
"""


def syncs_of(url: str, log: Path, *careless: str) -> int:
    """Count how often five commits ask the disk to keep what was written."""
    strace = shutil.which("strace")
    if strace is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no strace here, and CI needs it: apt-get install strace")
        pytest.skip("no strace here: apt-get install strace")
    watch = [strace, "-f", "-e", "trace=fsync,fdatasync", "-o", str(log)]
    write = [sys.executable, "-c", _WRITE, url, *careless]
    if url.startswith("sqlite"):
        subprocess.run([*watch, *write], check=True, capture_output=True, input=b"\n")
    else:
        with subprocess.Popen(write, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            server = writer.stdout.readline().decode().strip()
            with subprocess.Popen([*watch, "-p", server], stderr=subprocess.PIPE) as watcher:
                assert watcher.stderr is not None
                assert b"attached" in watcher.stderr.readline()
                writer.communicate(b"\n")
                watcher.communicate(timeout=20)
            assert writer.returncode == 0
    return sum("sync(" in line for line in log.read_text().splitlines())


def test_p07_each_commit_reaches_the_disk(engine: Engine, tmp_path: Path) -> None:
    url = engine.url.render_as_string(hide_password=False)
    assert syncs_of(url, tmp_path / "calls") >= _COMMITS


def test_p07_catches_commits_that_do_not_wait_for_the_disk(engine: Engine, tmp_path: Path) -> None:
    """The negative control."""
    is_sqlite = engine.dialect.name == "sqlite"
    careless = "PRAGMA synchronous = OFF" if is_sqlite else "SET synchronous_commit = off"
    url = engine.url.render_as_string(hide_password=False)
    assert syncs_of(url, tmp_path / "calls", careless) < _COMMITS


# -- P09 -------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Four MiB of disk, where this user may mount one; else the database's own cap."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(tmp_path)]
    is_mounted = os.geteuid() == 0 and subprocess.run(mount, check=False).returncode == 0
    yield tmp_path
    if is_mounted:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_p09_a_full_disk_is_survived(small_disk: Path) -> None:
    engine = open_engine(f"sqlite:///{small_disk}/books.sqlite")
    upgrade(engine)
    desk = Desk(engine)
    _lease_id, ref = desk.run()
    ballast = _fill(small_disk, engine)
    refused = 0
    for number in range(1000):
        try:
            desk.office.grant(uuid4(), "blaise", hours("1"), by=By(actor="olga"), reason="x" * 500)
        except BooksUnavailable:
            refused += 1
            if refused == 3:
                break
        assert number < 999, "the disk never was full"
    assert refused == 3
    desk.check()
    _free(ballast, engine)
    desk.go(minutes=30, every_s=300)
    desk.finish(ref)
    desk.tick()
    assert desk.balance() == "9.50"
    desk.check()
    engine.dispose()


def _fill(disk: Path, engine: Engine) -> Path | None:
    """Leave a few pages only."""
    if not os.path.ismount(disk):
        _cap_pages(engine, extra=20)
        return None
    ballast = disk / "ballast"
    free = shutil.disk_usage(disk).free
    ballast.write_bytes(bytes(max(0, free - 100_000)))
    return ballast


def _free(ballast: Path | None, engine: Engine) -> None:
    if ballast is None:
        _cap_pages(engine, extra=100_000)
    else:
        ballast.unlink()


def _cap_pages(engine: Engine, *, extra: int) -> None:
    with reading(engine) as tx:
        pages = tx.exec_driver_sql("PRAGMA page_count").scalar_one()
        tx.exec_driver_sql(f"PRAGMA max_page_count = {pages + extra}")


def test_a_database_that_is_gone_is_unavailable(tmp_path: Path) -> None:
    engine = open_engine("postgresql+psycopg://gpulab@/books?host=/nonexistent")
    with pytest.raises(BooksUnavailable):
        ping(engine)
    engine.dispose()


def test_an_error_of_ours_is_not_called_unavailable(engine: Engine) -> None:
    with pytest.raises(Exception, match=r"(?i)constraint") as error, transaction(engine) as tx:
        tx.execute(text("INSERT INTO counters VALUES ('a', 'b', 1), ('a', 'b', 2)"))
    assert not isinstance(error.value, BooksUnavailable)
