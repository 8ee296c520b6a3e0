"""The walk over the ledger finds the same wherever its blocks begin, and overlooks no rows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, delete, select, text, update

from quota.amount import GpuTime
from quota.chain import GENESIS, digest_of, digests_of
from quota.invariants import Violation, check_books, describe
from quota.ledger_walk import entry_rows
from quota.store import streams
from quota.store.engine import reading
from quota.store.tables import accounts, checkpoint_heads, entries, lots
from tests.quota.books import Desk

Act = Callable[[Connection], Any]


@pytest.fixture
def used(engine: Engine) -> Desk:
    """Books of two accounts, with a checkpoint in the middle of their chains."""
    desk = Desk(engine)
    for who in ("ada", "blaise"):
        _lease_id, ref = desk.run(who)
        desk.go(minutes=25, every_s=300)
        desk.books.checkpoint()
        desk.finish(ref)
        desk.tick()
    desk.check()
    return desk


@contextmanager
def unguarded(engine: Engine) -> Iterator[Connection]:
    """Let the owner of the database do what nobody else can; nothing of it stays."""
    with engine.connect() as tx:
        if tx.dialect.name == "postgresql":
            # Foreign keys are triggers, too.
            tx.execute(text("SET LOCAL session_replication_role = replica"))
        else:
            triggers = text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            for name in tx.execute(triggers).scalars().all():
                tx.execute(text(f"DROP TRIGGER {name}"))
            tx.execute(text("PRAGMA defer_foreign_keys = ON"))
        yield tx
        tx.rollback()


def found_after(desk: Desk, act: Act) -> list[Violation]:
    with unguarded(desk.engine) as tx:
        act(tx)
        return check_books(tx)


def of_ada(seq: int, **values: Any) -> Act:
    """Change one of ada's entries."""
    key = (entries.c.account_id == 1, entries.c.seq == seq)
    return lambda tx: tx.execute(update(entries).where(*key).values(values))


TAMPERINGS: list[Act] = [
    lambda _: None,
    of_ada(1, reason="x"),
    of_ada(4, held=GpuTime(1)),
    of_ada(5, hash=bytes(32)),
    of_ada(3, part=9),
    lambda tx: tx.execute(delete(entries).where(entries.c.seq == 4)),
    lambda tx: tx.execute(delete(entries).where(entries.c.seq >= 5)),
    lambda tx: tx.execute(update(checkpoint_heads).values(head=bytes(32))),
]


def test_the_walk_finds_the_same_wherever_blocks_begin(
    used: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reading(used.engine, as_of_now=True) as tx:
        assert len(entry_rows(tx, 1)) >= 7, "several blocks of three"
    whole = [set(found_after(used, act)) for act in TAMPERINGS]
    assert [bool(found) for found in whole] == [False] + [True] * (len(TAMPERINGS) - 1)
    for size in (1, 2, 3):
        monkeypatch.setattr(streams, "BLOCK", size)
        assert [set(found_after(used, act)) for act in TAMPERINGS] == whole


def test_hashes_of_columns_are_those_of_rows(used: Desk) -> None:
    with reading(used.engine, as_of_now=True) as tx:
        rows = entry_rows(tx, 2)
    befores = [GENESIS, *(row[13] for row in rows[:-1])]
    assert digests_of(GENESIS, 2, list(zip(*rows, strict=True))) == [
        digest_of(before, 2, row) for before, row in zip(befores, rows, strict=True)
    ]


@pytest.mark.parametrize(("table", "what"), [
    (entries, "it has entries"), (lots, "it has lots"),
    (checkpoint_heads, "it was seen by a checkpoint"),
])  # fmt: skip
@pytest.mark.parametrize("number", [1, 2])
def test_p14_an_account_that_is_gone_is_found_by_what_it_left(
    used: Desk, table: Any, what: str, number: int
) -> None:
    def act(tx: Connection) -> None:
        for other in {entries, lots, checkpoint_heads} - {table}:
            tx.execute(delete(other).where(other.c.account_id == number))
        tx.execute(delete(accounts).where(accounts.c.id == number))

    found = describe(found_after(used, act))
    assert f"account number {number}: {what}, and is not there" in found


def test_p15_a_lot_that_is_gone_is_found(used: Desk) -> None:
    with reading(used.engine, as_of_now=True) as tx:
        lot_id = tx.execute(select(lots.c.id).where(lots.c.account_id == 1)).scalars().first()
    assert lot_id is not None
    found = found_after(used, lambda tx: tx.execute(delete(lots).where(lots.c.id == lot_id)))
    assert f"entries name lot {lot_id.hex}, which is not there" in describe(found)
