"""P03: the ledger equals the model."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import Engine, insert, text

from quota.chain import GENESIS
from quota.ledger import Account
from quota.store.engine import open_engine, transaction
from quota.store.migrate import upgrade
from quota.store.tables import audit_head, metadata
from tests.quota.machine.lab_machine import LabMachine

# A failing seed is printed; GPULAB_SEED=<it> plays the same again.
SEED = int(os.environ.get("GPULAB_SEED") or random.randrange(2**32))
QUICK = settings(
    max_examples=12,
    stateful_step_count=50,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
)
PROMISED = settings(QUICK, max_examples=20, stateful_step_count=200)

GUARDED = {"entries": "entries_only_grow", "audit": "audit_only_grows"}


@pytest.fixture
def memory_engine(tmp_path: Path) -> Iterator[Engine]:
    """A database on a memory disk where there is one: this is about sums, not about disks."""
    fast = Path("/dev/shm")
    path = (fast if fast.is_dir() else tmp_path) / f"gpulab-machine-{os.getpid()}.sqlite"
    engine = open_engine(f"sqlite:///{path}")
    upgrade(engine)
    yield engine
    engine.dispose()
    for left in path.parent.glob(f"{path.name}*"):
        left.unlink()


def play(engine: Engine, size: settings) -> None:
    print(f"GPULAB_SEED={SEED}")

    @seed(SEED)
    class Fresh(LabMachine):
        def __init__(self) -> None:
            empty(engine)
            type(self).engine = engine
            super().__init__()

    run_state_machine_as_test(Fresh, settings=size)


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


def test_p03_the_books_equal_the_model(memory_engine: Engine) -> None:
    play(memory_engine, QUICK)


@pytest.mark.postgres
def test_p03_the_books_equal_the_model_on_postgres(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("the test above is this one on SQLite")
    play(engine, settings(QUICK, max_examples=5))


@pytest.mark.slow
@pytest.mark.skipif("GPULAB_LONG" not in os.environ, reason="long: GPULAB_LONG=1 runs it")
def test_p03_at_the_promised_size(memory_engine: Engine) -> None:
    play(memory_engine, PROMISED)


def test_p03_the_model_catches_a_rounded_charge(
    memory_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: 59 seconds for free, as in a peer's int(minutes)."""
    honest = Account.charge

    def rounding(self: Account, lease_id, *, start, until, **rest):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN003, ANN202
        return honest(self, lease_id, start=start, until=until.replace(second=0), **rest)

    monkeypatch.setattr(Account, "charge", rounding)
    with pytest.raises(AssertionError):
        play(memory_engine, QUICK)
