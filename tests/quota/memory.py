"""A database on a memory disk where there is one, for tests about sums and not about disks."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, insert, text

from quota.chain import GENESIS
from quota.store.engine import open_engine, transaction
from quota.store.migrate import upgrade
from quota.store.tables import audit_head, metadata

GUARDED = {"entries": "entries_only_grow", "audit": "audit_only_grows"}


@contextmanager
def engine_in_memory(folder: Path, name: str = "books") -> Iterator[Engine]:
    """Open new books under /dev/shm, else in a folder."""
    fast = Path("/dev/shm")
    path = (fast if fast.is_dir() else folder) / f"gpulab-test-{os.getpid()}-{name}.sqlite"
    engine = open_engine(f"sqlite:///{path}")
    try:
        upgrade(engine)
        yield engine
    finally:
        engine.dispose()
        for left in path.parent.glob(f"{path.name}*"):
            left.unlink()


def empty(engine: Engine) -> None:
    """Empty all tables; the guards of the ledger and of the trail have to be lifted for that."""
    with transaction(engine) as tx:
        if engine.dialect.name == "postgresql":
            for table, trigger in GUARDED.items():
                tx.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}"))
            tx.execute(text(f"TRUNCATE {', '.join(metadata.tables)} RESTART IDENTITY"))
            for table, trigger in GUARDED.items():
                tx.execute(text(f"ALTER TABLE {table} ENABLE TRIGGER {trigger}"))
        else:
            find = text("SELECT name, sql FROM sqlite_master WHERE name LIKE '%_no_delete'")
            guards = tx.execute(find).all()
            for name, _ in guards:
                tx.execute(text(f"DROP TRIGGER {name}"))
            for table in reversed(metadata.sorted_tables):
                tx.execute(table.delete())
            for _, guard in guards:
                tx.execute(text(guard))
        tx.execute(insert(audit_head).values(id=1, seq=0, head=GENESIS))
