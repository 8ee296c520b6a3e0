"""A database on a memory disk where there is one, for tests about sums and not about disks."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, text

from quota.store.engine import open_engine, transaction
from quota.store.migrate import upgrade
from quota.store.tables import metadata


@contextmanager
def engine_in_memory(folder: Path) -> Iterator[Engine]:
    """Open new books under /dev/shm, else in a folder."""
    fast = Path("/dev/shm")
    path = (fast if fast.is_dir() else folder) / f"gpulab-test-{os.getpid()}.sqlite"
    engine = open_engine(f"sqlite:///{path}")
    try:
        upgrade(engine)
        yield engine
    finally:
        engine.dispose()
        for left in path.parent.glob(f"{path.name}*"):
            left.unlink()


def empty(engine: Engine) -> None:
    """Empty all tables; the ledger's own guard has to be lifted for that."""
    with transaction(engine) as tx:
        if engine.dialect.name == "postgresql":
            tx.execute(text("ALTER TABLE entries DISABLE TRIGGER entries_only_grow"))
            tx.execute(text(f"TRUNCATE {', '.join(metadata.tables)} RESTART IDENTITY"))
            tx.execute(text("ALTER TABLE entries ENABLE TRIGGER entries_only_grow"))
            return
        named = text("SELECT sql FROM sqlite_master WHERE name = 'entries_no_delete'")
        guard = tx.execute(named).scalar_one()
        tx.execute(text("DROP TRIGGER entries_no_delete"))
        for table in reversed(metadata.sorted_tables):
            tx.execute(table.delete())
        tx.execute(text(guard))
