"""The law "draws": what one account gives another gets. With a forgery that it must catch."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from sqlalchemy import Connection, insert, select, text, update

from quota.amount import GpuTime
from quota.audit import By
from quota.chain import GENESIS, digest_of
from quota.invariants import Violation, check_books
from quota.ledger_walk import entry_rows
from quota.store.engine import transaction
from quota.store.rebuild import rebuild_figures
from quota.store.tables import accounts, entries, lots
from tests.quota.books import Desk, hours, lab_with

TOMAS = By(actor="tomas")


@pytest.fixture
def moved(desk: Desk) -> Desk:
    """Books in which pool, help and a TA have paid."""
    desk.follow(lab_with(
        "scholars: {blaise: {hours_per_week: 0}}", ta_hours_per_week=hours("3"),
        section="pool: {hours_per_week: 2}, help_hours_per_week: 1",
    ))  # fmt: skip
    desk.office.grant(uuid4(), "ada", hours("1"), by=TOMAS, reason="x", source="ta_grant")
    desk.run("ada")
    one = desk.office.attach(uuid4(), "ada", server_name="", mode="observe", minutes=30, by=TOMAS,
                             reason="asked")  # fmt: skip
    desk.use("blaise", minutes=7)
    desk.office.detach(one.id, "detached", by=TOMAS)
    desk.go(seconds=30)
    return desk


def forged(desk: Desk, act: Callable[[Connection], None]) -> list[Violation]:
    """Change the ledger as its owner could, with chains and figures made to fit; then undo it."""
    with desk.engine.connect() as tx:
        if tx.dialect.name == "postgresql":
            tx.execute(text("ALTER TABLE entries DISABLE TRIGGER entries_only_grow"))
        else:
            for (name,) in tx.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger' "
                                           "AND tbl_name = 'entries'")).all():  # fmt: skip
                tx.execute(text(f"DROP TRIGGER {name}"))
        act(tx)
        for account_id in tx.execute(select(accounts.c.id)).scalars().all():
            before = GENESIS
            for row in entry_rows(tx, account_id):
                before = digest_of(before, account_id, row)
                key = (entries.c.account_id == account_id, entries.c.seq == row[0])
                tx.execute(update(entries).where(*key).values(hash=before))
        rebuild_figures(tx)
        found = check_books(tx)
        tx.rollback()
    return found


def test_draws_balance_and_figures_rebuild_to_what_they_were(moved: Desk) -> None:
    kinds = {"pool": "draw", "help": "return", "ta": "draw"}
    with transaction(moved.engine) as tx:
        query = select(accounts.c.kind, entries.c.kind).join_from(accounts, entries)
        seen = {tuple(row) for row in tx.execute(query)}
        assert seen >= set(kinds.items())
        before = tx.execute(select(lots).order_by(lots.c.id)).all()
        rebuild_figures(tx)
        assert tx.execute(select(lots).order_by(lots.c.id)).all() == before
    assert forged(moved, lambda _: None) == []


def test_hours_made_on_the_way_are_found(moved: Desk) -> None:
    def act(tx: Connection) -> None:
        key = tx.execute(
            select(entries.c.account_id, entries.c.seq)
            .where(entries.c.kind == "draw", entries.c.posted > GpuTime.ZERO).limit(1)
        ).one()  # fmt: skip
        where = (entries.c.account_id == key[0], entries.c.seq == key[1])
        tx.execute(update(entries).where(*where).values(posted=entries.c.posted + GpuTime(1)))

    found = forged(moved, act)
    assert [one.law for one in found] == ["draws"]
    assert "sum to 1, not to 0" in found[0].what


def test_hours_taken_from_a_budget_for_nobody_are_found(moved: Desk) -> None:
    def act(tx: Connection) -> None:
        row = tx.execute(
            select(entries).join(accounts).where(accounts.c.kind == "pool")
            .order_by(entries.c.seq.desc()).limit(1)
        ).mappings().one()  # fmt: skip
        tx.execute(insert(entries), {
            **row, "seq": row["seq"] + 1, "transfer_id": uuid4(), "posted": GpuTime(-5),
            "held": GpuTime.ZERO, "kind": "draw",
        })  # fmt: skip

    found = forged(moved, act)
    assert [(one.law, "sum to -5" in one.what) for one in found] == [("draws", True)]
