"""P14 for the trail: an edited line, a deleted one, a cut tail, a rebuilt chain are each named."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from quota.audit import AuditLine, By, TrailHead, faults_of_trail, line_hash
from quota.chain import GENESIS
from quota.store.engine import transaction
from quota.store.tables import audit, audit_head
from quota.store.trail import audit_lines, trail_head
from tests.quota.books import NOON, Desk, hours

OLGA = By(actor="olga", request_id="r-7")


@pytest.fixture
def office(desk: Desk) -> Desk:
    """A trail of five lines."""
    for number in range(5):
        desk.office.grant(uuid4(), "ada", hours("1"), by=OLGA, reason=f"reason {number}")
    assert desk.office.check_trail() == []
    return desk


def tampered(desk: Desk, act: Callable[[Connection], Any], exported: TrailHead | None = None) -> (
    list[str]
):  # fmt: skip
    """Do what only the owner of the database can, with the guards off; leave all as it was."""
    is_sqlite = desk.engine.dialect.name == "sqlite"
    with desk.engine.connect() as tx:
        if is_sqlite:
            for verb in ("update", "delete"):
                tx.execute(text(f"DROP TRIGGER audit_no_{verb}"))
        else:
            tx.execute(text("ALTER TABLE audit DISABLE TRIGGER audit_only_grows"))
        act(tx)
        found = list(faults_of_trail(audit_lines(tx), trail_head(tx), exported))
        tx.rollback()
    return found


def rebuild(tx: Connection) -> None:
    """Write all hashes anew, as somebody would who has changed a line and knows how it works."""
    before = GENESIS
    for line in list(audit_lines(tx)):
        before = line_hash(line, before)
        tx.execute(update(audit).where(audit.c.seq == line.seq).values(hash=before))
    tx.execute(update(audit_head).values(head=before))


@pytest.mark.parametrize("statement", [
    "UPDATE audit SET actor = 'somebody'", "DELETE FROM audit WHERE seq = 2",
    "INSERT OR REPLACE INTO audit SELECT * FROM audit", "TRUNCATE audit",
])  # fmt: skip
def test_p14_the_database_refuses_to_change_the_trail(office: Desk, statement: str) -> None:
    is_sqlite = office.engine.dialect.name == "sqlite"
    if ("REPLACE" in statement) != is_sqlite and statement.startswith(("INSERT", "TRUNC")):
        pytest.skip("the other database has no such statement")
    with pytest.raises(DBAPIError, match="only grows"), transaction(office.engine) as tx:
        tx.execute(text(statement))
    assert office.office.check_trail() == []


@pytest.mark.parametrize("column", ["actor", "action", "subject", "reason", "before", "after",
                                    "request_id", "hub_id"])  # fmt: skip
def test_p14_an_edited_line_is_named(office: Desk, column: str) -> None:
    act = update(audit).where(audit.c.seq == 3).values({column: "x"})
    assert tampered(office, lambda tx: tx.execute(act)) == ["line 3 of the audit trail was edited"]


def test_p14_a_line_moved_in_time_is_named(office: Desk) -> None:
    act = update(audit).where(audit.c.seq == 1).values(at=NOON.replace(hour=1))
    assert tampered(office, lambda tx: tx.execute(act)) == ["line 1 of the audit trail was edited"]


def test_p14_a_deleted_line_is_named(office: Desk) -> None:
    act = delete(audit).where(audit.c.seq == 2)
    assert tampered(office, lambda tx: tx.execute(act)) == [
        "line 2 of the audit trail was deleted"
    ]


def test_p14_a_cut_tail_is_named(office: Desk) -> None:
    act = delete(audit).where(audit.c.seq > 3)
    (found,) = tampered(office, lambda tx: tx.execute(act))
    assert "ends at line 3, its head says 5" in found


def test_p14_a_cut_tail_with_a_forged_head_shows_against_the_exported_one(office: Desk) -> None:
    exported = office.office.trail_head()

    def cut(tx: Connection) -> None:
        tx.execute(delete(audit).where(audit.c.seq > 3))
        last = tx.execute(select(audit.c.hash).where(audit.c.seq == 3)).scalar_one()
        tx.execute(update(audit_head).values(seq=3, head=last))

    assert tampered(office, cut) == [], "by itself it looks whole"
    (found,) = tampered(office, cut, exported)
    assert "the tail was cut: line 5 was exported" in found


def test_p14_a_rebuilt_chain_shows_against_the_exported_head(office: Desk) -> None:
    exported = office.office.trail_head()
    office.office.grant(uuid4(), "ada", hours("1"), by=OLGA, reason="later")
    assert office.office.check_trail(exported) == []

    def act(tx: Connection) -> None:
        tx.execute(update(audit).where(audit.c.seq == 3).values(actor="somebody"))
        rebuild(tx)

    assert tampered(office, act) == []
    (found,) = tampered(office, act, exported)
    assert "was rebuilt: line 5 is not the one exported" in found


def test_an_added_line_without_its_hash_is_named(office: Desk) -> None:
    def act(tx: Connection) -> None:
        line = next(iter(audit_lines(tx)))
        forged = replace(line, seq=6, actor="nobody")
        tx.execute(insert(audit), {name: getattr(forged, name) for name in AuditLine.__slots__})

    assert tampered(office, act) == ["line 6 of the audit trail was edited"]


def test_every_change_has_actor_reason_before_after_request_and_time(office: Desk) -> None:
    line = office.office.trail(subject="ada", most=1)[0]
    assert (line.actor, line.action, line.reason, line.request_id, line.at) == (
        "olga", "grant", "reason 0", "r-7", NOON)  # fmt: skip
    assert line.before is not None
    assert line.after is not None
    assert '"available": "10"' in line.before
    assert '"available": "11"' in line.after


def test_a_refused_change_leaves_no_line(office: Desk) -> None:
    before = office.office.trail_head()
    with pytest.raises(Exception, match="more than 0"):
        office.office.grant(uuid4(), "ada", hours("0"), by=OLGA, reason="x")
    assert office.office.trail_head() == before


def test_the_trail_is_read_by_page(office: Desk) -> None:
    first = office.office.trail(most=2)
    rest = office.office.trail(after=first[-1].seq, most=10)
    assert [line.seq for line in (*first, *rest)] == [1, 2, 3, 4, 5]


@given(st.integers(0, 2**60), st.binary(min_size=32, max_size=32))
def test_a_head_survives_a_file(seq: int, digest: bytes) -> None:
    head = TrailHead(seq, digest)
    assert TrailHead.parse(f" {head.text()}\n") == head


@pytest.mark.parametrize(
    "wrong", ["", "1", "1:", "1:zz", f"-1:{'0' * 64}", f"1:{'0' * 62}", "x:00"]
)
def test_what_is_no_head_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # several sentences, one meaning
        TrailHead.parse(wrong)


@given(st.lists(st.text(max_size=5), min_size=8, max_size=8), st.integers(0, 6))
def test_texts_cannot_slide_from_one_column_into_the_next(texts: list[str], at: int) -> None:
    def line(parts: list[str]) -> AuditLine:
        hub_id, actor, action, subject, reason, before, after, request_id = parts
        return AuditLine(seq=1, at=NOON, hub_id=hub_id, actor=actor, action=action,
                         subject=subject, reason=reason, before=before, after=after,
                         request_id=request_id)  # fmt: skip

    slid = list(texts)
    slid[at : at + 2] = [texts[at] + texts[at + 1], ""]
    same = slid == texts
    assert (line_hash(line(texts), GENESIS) == line_hash(line(slid), GENESIS)) == same
