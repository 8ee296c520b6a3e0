"""Copies of the books in a file, and putting one back.

A copy is of one instant, taken while the lab goes on. Putting one back is whole or not at all:
readers and writers see the books of before, or those of the copy. What the copy does not know of
is taken from the runtime at the next tick, under the same ids. See docs/backups.md.
"""

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from sqlalchemy.engine import make_url

from quota.errors import BackupFailed
from quota.store import backup_postgres
from quota.store.engine import BUSY_TIMEOUT_MS, open_engine
from quota.store.migrate import is_known, upgrade

_SQLITE = b"SQLite format 3\x00"


def back_up(url: str, target: Path) -> None:
    """Write the books of this instant into a new file that only its owner can read.

    Raises:
        BackupFailed: and no file is left behind.

    """
    if target.exists():
        raise BackupFailed(f"{target} is there already; a backup never replaces a file.")
    if not target.parent.is_dir():
        raise BackupFailed(f"There is no folder {target.parent}.")
    unfinished = target.with_name(f".{target.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        if _is_sqlite(url):
            _copy_sqlite(_path_of(url), unfinished)
        else:
            backup_postgres.dump(url, unfinished)
        _reach_the_disk(unfinished)
        unfinished.rename(target)
        _reach_the_disk(target.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def put_back(url: str, source: Path) -> None:
    """Replace the books by those of a file, brought to this version; whole or not at all.

    The caller has made sure that no lab runs, or takes it upon itself.

    Raises:
        BackupFailed: the file is damaged, of another kind, or newer than this program.

    """
    if not source.is_file():
        raise BackupFailed(f"There is no file {source}.")
    with source.open("rb") as handle:
        is_sqlite_file = handle.read(len(_SQLITE)) == _SQLITE
    if is_sqlite_file != _is_sqlite(url):
        kinds = ("SQLite", "PostgreSQL") if is_sqlite_file else ("PostgreSQL", "SQLite")
        raise BackupFailed(f"{source} is no backup of {kinds[1]}, which the books are in: "
                           f"it looks like one of {kinds[0]}.")  # fmt: skip
    if is_sqlite_file:
        _put_back_sqlite(_path_of(url), source)
    else:
        backup_postgres.put_back(url, source)


def _put_back_sqlite(path: Path, source: Path) -> None:
    staged = path.with_name(f"{path.name}.restoring")
    try:
        # Brought to this version aside, so that nobody ever sees an older one.
        _copy_sqlite(source, staged)
        engine = open_engine(f"sqlite:///{staged}", pool_size=1)
        try:
            if not is_known(engine):
                raise BackupFailed(f"{source} was made by a newer version of gpulab.")
            upgrade(engine)
        finally:
            engine.dispose()
        # One transaction of SQLite itself: whoever has the books open goes on with the new ones.
        _copy_sqlite(staged, path)
    finally:
        for suffix in ("", "-journal", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                staged.with_name(staged.name + suffix).unlink()


def _copy_sqlite(source: Path, target: Path) -> None:
    """Copy one instant of a database over another, and check what came out."""
    try:
        with (
            closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            for one in (old, new):
                one.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
            new.execute("PRAGMA synchronous = FULL")
            old.backup(new)
            faults = [row[0] for row in new.execute("PRAGMA integrity_check(5)")]
    except sqlite3.Error as error:
        raise BackupFailed(f"{source} cannot be copied: {error}") from error
    if faults != ["ok"]:
        raise BackupFailed(f"{source} is damaged: {'; '.join(faults)[:300]}")


def _is_sqlite(url: str) -> bool:
    return make_url(url).get_backend_name() == "sqlite"


def _path_of(url: str) -> Path:
    return Path(make_url(url).database or "")


def _reach_the_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
