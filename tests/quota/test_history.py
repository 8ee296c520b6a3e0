"""P14, P15: history cannot change quietly, and the figures can be made anew from it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, Engine, select, text, update
from sqlalchemy.exc import DBAPIError

from quota.amount import GpuTime
from quota.audit import By
from quota.chain import GENESIS, entry_hash
from quota.invariants import Violation, describe
from quota.ledger import Entry
from quota.store.engine import reading, transaction
from quota.store.rebuild import rebuild_figures
from quota.store.tables import accounts, checkpoint_heads, checkpoints, entries, gpus, leases, lots
from tests.quota.books import Desk, hours

ONE = GpuTime(1)


@pytest.fixture
def history(engine: Engine) -> Desk:
    """Books with two accounts that have used GPU time."""
    desk = Desk(engine)
    for who in ("ada", "blaise"):
        _lease_id, ref = desk.run(who)
        desk.go(minutes=25, every_s=300)
        desk.finish(ref)
        desk.tick()
    assert desk.books.check() == []
    return desk


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET posted = 0",
        "DELETE FROM entries WHERE seq = 1",
        "INSERT OR REPLACE INTO entries SELECT * FROM entries",
        "TRUNCATE entries",
    ],
)
def test_p14_the_database_refuses_to_change_the_ledger(history: Desk, statement: str) -> None:
    is_sqlite = history.engine.dialect.name == "sqlite"
    if ("REPLACE" in statement) != is_sqlite and statement.startswith(("INSERT", "TRUNC")):
        pytest.skip("the other database has no such statement")
    with pytest.raises(DBAPIError, match="only grows"), transaction(history.engine) as tx:
        tx.execute(text(statement))
    history.check()


# -- what a superuser can do, and how it shows ------------------------------------------------


def tampering(desk: Desk, act: Callable[[Connection], object]) -> list[Violation]:
    """Do what only the owner of the database could: with the guards taken off."""
    with transaction(desk.engine) as tx:
        if desk.engine.dialect.name == "sqlite":
            guards = tx.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))
            found = guards.all()
            for name, _ in found:
                tx.execute(text(f"DROP TRIGGER {name}"))
            act(tx)
            for _, sql in found:
                tx.execute(text(sql))
        else:
            tx.execute(text("ALTER TABLE entries DISABLE TRIGGER entries_only_grow"))
            act(tx)
            tx.execute(text("ALTER TABLE entries ENABLE TRIGGER entries_only_grow"))
    return desk.books.check()


def edit_a_row(tx: Connection) -> None:
    tx.execute(update(entries).where(entries.c.account_id == 1, entries.c.seq == 2)
               .values(reason="nothing to see here"))  # fmt: skip


def delete_a_row(tx: Connection) -> None:
    tx.execute(entries.delete().where(entries.c.account_id == 1, entries.c.seq == 2))


def cut_the_tail(tx: Connection) -> None:
    """The last charge never was: entries, figures and head all agree afterwards."""
    tail = tx.execute(select(entries).where(entries.c.account_id == 1)
                      .order_by(entries.c.seq.desc()).limit(2)).mappings().all()  # fmt: skip
    for row in tail:
        tx.execute(entries.delete().where(entries.c.account_id == 1, entries.c.seq == row["seq"]))
    _agree(tx)


def build_anew(tx: Connection) -> None:
    """The same entries with one halved, and every hash computed again."""
    rows = tx.execute(select(entries).where(entries.c.account_id == 1)
                      .order_by(entries.c.seq)).mappings().all()  # fmt: skip
    before = GENESIS
    for row in rows:
        entry = Entry(**{name: row[name] for name in Entry.__slots__})
        if entry.kind == "charge":
            entry = replace(entry, posted=GpuTime(entry.posted.mgpu_ms // 2))
        before = entry_hash(1, entry, before)
        tx.execute(update(entries).where(entries.c.account_id == 1, entries.c.seq == entry.seq)
                   .values(posted=entry.posted, hash=before))  # fmt: skip
    _agree(tx)


def _agree(tx: Connection) -> None:
    rebuild_figures(tx)
    held = tx.execute(select(accounts.c.held).where(accounts.c.id == 1)).scalar_one()
    mine = select(leases.c.id).where(leases.c.account_id == 1).limit(1)
    lease_id = tx.execute(mine).scalar_one()
    tx.execute(update(leases).where(leases.c.id == lease_id).values(
        hold=held, state="stopping" if held else "ended"))  # fmt: skip


def test_p14_an_edited_row_is_found(history: Desk) -> None:
    found = tampering(history, edit_a_row)
    assert "entry 2 was changed" in describe(found)


def test_p14_a_deleted_row_is_found(history: Desk) -> None:
    found = tampering(history, delete_a_row)
    assert "entry 2 is missing" in describe(found)


def test_p14_a_cut_tail_is_found_by_the_checkpoint(history: Desk) -> None:
    history.books.checkpoint()
    found = tampering(history, cut_the_tail)
    assert [one.what for one in found if one.law == "I3"] == [
        f"the tail was cut: checkpoint 1 saw entry {_seq_at_checkpoint(history)}"
    ]


def test_p14_a_rebuilt_chain_is_found_by_the_checkpoint(history: Desk) -> None:
    history.books.checkpoint()
    found = tampering(history, build_anew)
    assert [one.what for one in found if one.law == "I3"] == [
        "the chain was built anew: checkpoint 1 saw another"
    ]


@pytest.mark.parametrize("act", [cut_the_tail, build_anew])
def test_p14_without_a_checkpoint_these_two_would_pass(
    history: Desk, act: Callable[[Connection], object]
) -> None:
    """The negative control: it is the checkpoint that finds them, not the chain."""
    assert [one for one in tampering(history, act) if one.law == "I3"] == []


def test_p14_who_rewrites_the_checkpoints_too_is_found_by_the_log(history: Desk) -> None:
    anchor = history.books.checkpoint()
    assert history.books.check(anchor=anchor) == []

    def rewrite_everything(tx: Connection) -> None:
        build_anew(tx)
        tx.execute(checkpoint_heads.delete())
        tx.execute(checkpoints.delete())

    tampering(history, rewrite_everything)
    history.books.checkpoint()
    assert [one for one in history.books.check() if one.law == "I3"] == []
    found = history.books.check(anchor=anchor)
    assert "it is not the one that the log has" in describe(found)


def test_p14_checkpoints_hold_while_the_books_go_on(history: Desk) -> None:
    anchors = [history.books.checkpoint()]
    for who in ("ada", "chen", "blaise"):
        _lease_id, ref = history.run(who, "quarter")
        history.go(minutes=12, every_s=240)
        history.finish(ref)
        history.tick()
        anchors.append(history.books.checkpoint())
    assert all(history.books.check(anchor=anchor) == [] for anchor in anchors)
    with reading(history.engine) as tx:
        marks = tx.execute(select(checkpoint_heads.c.number)).scalars().all()
    assert sorted(marks) == [1, 1, 2, 3, 4], "only accounts that moved on are marked again"


def _seq_at_checkpoint(desk: Desk) -> int:
    with reading(desk.engine) as tx:
        query = select(checkpoint_heads.c.seq).where(checkpoint_heads.c.account_id == 1)
        return int(tx.execute(query).scalar_one())


# -- every law catches its breach ---------------------------------------------------------------

BREACHES: list[tuple[str, Any, dict[str, Any]]] = [
    ("posted is", accounts, {"posted": ONE}),
    ("held is", accounts, {"held": ONE}),
    ("debt is", accounts, {"debt": ONE}),
    ("the chain ends at", accounts, {"seq": 1}),
    ("remaining is", lots, {"remaining": ONE}),
    ("it has ended and still holds time", leases, {"hold": ONE}),
    ("leases take", gpus, {"used_mgpu": 1}),
    ("leases take", gpus, {"sharers": 3}),
]


@pytest.mark.parametrize(("what", "table", "values"), BREACHES)
def test_the_checker_finds_each_breach(
    history: Desk, what: str, table: Any, values: dict[str, Any]
) -> None:
    assert what in describe(
        tampering(history, lambda tx: tx.execute(update(table).values(values)))
    )


def test_the_checker_finds_an_over_committed_gpu(history: Desk) -> None:
    crowd = {"state": "stopping", "gpu_uuid": "GPU-0", "share_mgpu": 600}
    found = tampering(history, lambda tx: tx.execute(update(leases).values(crowd)))
    assert "it is over-committed" in describe(found)


@pytest.mark.parametrize(("shift_ms", "what"), [(-1000, "an overlap"), (1000, "a gap")])
def test_the_checker_finds_gaps_and_overlaps_in_charges(
    history: Desk, shift_ms: int, what: str
) -> None:
    def shift(tx: Connection) -> None:
        mine = (entries.c.account_id == 1) & (entries.c.kind == "charge")
        last = select(entries).where(mine).order_by(entries.c.seq.desc()).limit(1)
        row = tx.execute(last).mappings().one()
        moved = row["from_at"] + timedelta(milliseconds=shift_ms)
        tx.execute(update(entries).where(mine, entries.c.seq == row["seq"]).values(from_at=moved))

    assert what in describe(tampering(history, shift))


# -- P15 ----------------------------------------------------------------------------------------


def figures(tx: Connection) -> list[Any]:
    found: list[Any] = [tx.execute(select(accounts).order_by(accounts.c.id)).all()]
    found.append(tx.execute(select(lots).order_by(lots.c.id)).all())
    return found


def test_p15_figures_made_anew_are_the_same(history: Desk) -> None:
    history.office.grant(uuid4(), "ada", hours("2"), by=By(actor="olga"), reason="for the rebuild")
    history.run("ada")
    _lease_id, ref = history.run("emeka")
    history.clock.advance(timedelta(hours=2))
    history.finish(ref)
    history.tick()
    assert history.books.account("emeka").debt > GpuTime.ZERO
    with reading(history.engine) as tx:
        before = figures(tx)
    with transaction(history.engine) as tx:
        nothing = {"posted": GpuTime.ZERO, "held": GpuTime.ZERO, "debt": GpuTime.ZERO, "seq": 0,
                   "head": GENESIS}  # fmt: skip
        tx.execute(update(accounts).values(nothing))
        tx.execute(update(lots).values(remaining=GpuTime.ZERO, amount=GpuTime.ZERO))
    assert history.books.check() != []
    with transaction(history.engine) as tx:
        rebuild_figures(tx)
    with reading(history.engine) as tx:
        assert figures(tx) == before
    history.check()


def test_p15_usage_reports_what_the_runtime_recorded(history: Desk) -> None:
    with reading(history.engine) as tx:
        rows = tx.execute(select(leases.c.started_at, leases.c.ended_at, leases.c.weight_mgpu))
        oracle = sum((end - start).total_seconds() * weight * 1000 for start, end, weight in rows)
    charged = [one.amount.mgpu_ms for who in ("ada", "blaise")
               for one in history.books.account(who).charges]  # fmt: skip
    assert sum(charged) == oracle
