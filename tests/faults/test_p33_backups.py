"""P33: an old copy is put back under running sessions; the runtime tells what happened since."""

import sqlite3
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import DBAPIError

from api.cli import main
from quota.amount import GpuTime
from quota.audit import By
from quota.errors import BackupFailed
from quota.store.backup import back_up, put_back
from quota.store.engine import open_engine, reading, transaction
from quota.store.migrate import differences, downgrade, is_current
from quota.store.singleton import sole_holder
from quota.store.tables import entries
from tests.faults.crashes import wait_until
from tests.quota.books import LAB_YAML, Desk, hours, make_lab

Run = Callable[..., tuple[int, str]]


@contextmanager
def desk_at(url: str) -> Iterator[Desk]:
    engine = open_engine(url)
    yield Desk(engine, make_lab(sessions_per_scholar=5))
    engine.dispose()


def charged(desk: Desk) -> dict[UUID, GpuTime]:
    found: dict[UUID, GpuTime] = {}
    with reading(desk.engine) as tx:
        for row in tx.execute(select(entries).where(entries.c.kind == "charge")).mappings():
            found[row["lease_id"]] = found.get(row["lease_id"], GpuTime.ZERO) - row["posted"]
    return found


def test_p33_an_old_copy_under_running_sessions(own_url: str, tmp_path: Path) -> None:
    with desk_at(own_url) as desk:
        old, old_ref = desk.run("ada", "whole")
        desk.go(minutes=25, every_s=60)
        back_up(own_url, tmp_path / "copy")
        new, new_ref = desk.run("blaise", "whole")
        # The copy knows less than this by more than one hold step.
        desk.go(minutes=25, every_s=60)
        assert charged(desk)[old] > hours("40 min")
        put_back(own_url, tmp_path / "copy")
        assert charged(desk)[old] <= hours("25 min")
        desk.check()
        result = desk.tick()
        # A GPU session that the copy does not know has no slot any more: it is paid and stopped.
        assert [one.ref for one in result.adopted] == [new_ref]
        assert [one.ref for one in result.stops] == [new_ref]
        desk.finish(new_ref)
        desk.tick()
        desk.go(minutes=10, every_s=60)
        desk.finish(old_ref)
        desk.tick()
        assert charged(desk) == {old: hours("60 min"), new: hours("25 min")}
        with pytest.raises(DBAPIError, match=r"only grow"), transaction(desk.engine) as tx:
            tx.execute(text("DELETE FROM entries"))
        assert desk.ask("blaise", "whole").lease.state == "held"
        desk.check()


def test_p33_an_older_version_is_brought_to_this_one(own_url: str, tmp_path: Path) -> None:
    with desk_at(own_url) as desk:
        desk.use("ada", minutes=20)
        before = desk.balance()
        downgrade(desk.engine, "0001")
        back_up(own_url, tmp_path / "old")
    put_back(own_url, tmp_path / "old")
    with desk_at(own_url) as desk:
        assert is_current(desk.engine)
        assert differences(desk.engine) == []
        assert desk.balance() == before
        desk.check()
        # Put back over a newer version that has more tables than the copy knows.
        put_back(own_url, tmp_path / "old")
        assert differences(desk.engine) == []


def test_p33_a_newer_version_is_refused(own_url: str, tmp_path: Path) -> None:
    with desk_at(own_url) as desk:
        with transaction(desk.engine) as tx:
            ours = tx.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
            tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        back_up(own_url, tmp_path / "newer")
        with transaction(desk.engine) as tx:
            tx.execute(text("UPDATE alembic_version SET version_num = :ours"), {"ours": ours})
        with pytest.raises(BackupFailed, match="newer version"):
            put_back(own_url, tmp_path / "newer")
        assert is_current(desk.engine)


def test_p33_a_copy_is_of_one_instant_under_writers(own_url: str, tmp_path: Path) -> None:
    stopped = threading.Event()

    def write() -> None:
        with desk_at(own_url) as desk:
            while not stopped.is_set():
                desk.office.grant(uuid4(), "ada", hours("1"), by=By(actor="olga"), reason="x")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(3):
            back_up(own_url, tmp_path / f"copy-{number}")
    finally:
        stopped.set()
        writer.join()
    for number in range(3):
        put_back(own_url, tmp_path / f"copy-{number}")
        with desk_at(own_url) as desk:
            desk.check()


def test_p33_what_is_no_copy_is_refused_and_nothing_changes(own_url: str, tmp_path: Path) -> None:
    with desk_at(own_url) as desk:
        desk.use("ada", minutes=5)
        before = desk.balance()
        copy, cut = tmp_path / "copy", tmp_path / "cut"
        back_up(own_url, copy)
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        with pytest.raises(BackupFailed, match="there already"):
            back_up(own_url, copy)
        cut.write_bytes(copy.read_bytes()[: copy.stat().st_size // 2])
        (tmp_path / "text").write_text("no books\n" * 100)
        (tmp_path / "empty").write_text("")
        for name in ("cut", "text", "empty", "nowhere"):
            with pytest.raises(BackupFailed):
                put_back(own_url, tmp_path / name)
            assert desk.balance() == before
        desk.check()
    assert not list(tmp_path.glob("*.unfinished"))
    assert not list(tmp_path.glob("*.restoring*"))


def test_p33_a_damaged_file_is_not_called_a_copy(tmp_path: Path) -> None:
    path = tmp_path / "books.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (a TEXT)")
        connection.execute("CREATE INDEX i ON t (a)")
        connection.executemany("INSERT INTO t VALUES (?)", [(str(n) * 50,) for n in range(999)])
        connection.commit()
    pages = bytearray(path.read_bytes())
    pages[-4096 * 3 : -4096 * 2] = bytes(4096)
    path.write_bytes(pages)
    with pytest.raises(BackupFailed, match=r"damaged|cannot be copied"):
        back_up(f"sqlite:///{path}", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_copy_into_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match="no folder"):
        back_up(f"sqlite:///{tmp_path}/books.sqlite", tmp_path / "there" / "copy")


# -- the commands -----------------------------------------------------------------------------


@pytest.fixture
def gpulab(
    own_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:  # fmt: skip
    (tmp_path / "lab.yaml").write_text(LAB_YAML)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GPULAB_DATABASE_URL", own_url)

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["gpulab", *words])
        with pytest.raises(SystemExit) as end:
            main()
        printed = capsys.readouterr()
        assert "Traceback" not in printed.out + printed.err
        return int(end.value.code or 0), printed.out + printed.err

    return run


def test_backup_and_restore_by_command(gpulab: Run, tmp_path: Path) -> None:
    status, said = gpulab("backup", "copy")
    assert status == 0
    assert "The books are in copy" in said
    assert gpulab("backup", "copy")[0] == 1
    assert gpulab("grant", "ada", "2", "--reason", "project")[0] == 0
    status, said = gpulab("restore", "copy")
    assert status == 0, said
    assert "restored and right" in said
    assert '"12' not in gpulab("account", "ada", "--json")[1]
    # What was there before can be had again.
    (kept,) = tmp_path.glob("before-restore-*")
    assert gpulab("restore", str(kept))[0] == 0
    assert '"12.00"' in gpulab("account", "ada", "--json")[1]
    assert gpulab("restore", "nowhere")[0] == 1


def test_restore_refuses_a_running_lab_unless_told(gpulab: Run, own_url: str) -> None:
    assert gpulab("backup", "copy")[0] == 0
    with sole_holder(own_url, "worker", give_up=threading.Event()) as is_sole:
        status, said = gpulab("restore", "copy")
        assert status == 1
        assert "worker is running" in said
        assert gpulab("restore", "copy", "--while-running")[0] == 0
        assert is_sole()


@pytest.mark.postgres
def test_a_lock_that_the_database_forgot_is_taken_again(postgres_url: str) -> None:
    admin = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    end_all = text("SELECT pg_terminate_backend(pid) FROM pg_locks "
                   "WHERE locktype = 'advisory' AND pid <> pg_backend_pid()")  # fmt: skip
    never, away = threading.Event(), list[int]()
    with sole_holder(postgres_url, "worker", give_up=never,
                     on_away=lambda: away.append(1)) as is_sole:  # fmt: skip
        assert is_sole()
        with admin.connect() as connection:
            connection.execute(end_all)
        assert not away
        assert not is_sole()
        assert away == [1], "told when the database did not answer"
        assert is_sole()
        with admin.connect() as connection:
            connection.execute(end_all)
        assert not is_sole()
        with sole_holder(postgres_url, "worker", give_up=never) as is_other:
            assert is_other()
            assert not is_sole()
            assert len(away) == 2, "another holder is no outage"
        # The server lets go of the lock when it sees that the other's connection is closed.
        wait_until("the lock is free", is_sole)
    admin.dispose()
