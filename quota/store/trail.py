"""Writing and reading the audit trail."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, insert, select, update

from quota.audit import AuditLine, By, TrailHead, as_json, line_hash
from quota.store.tables import audit, audit_head

_FIELDS = tuple(AuditLine.__slots__)
_PAGE = 5_000


def write_audit(
    tx: Connection, by: By, action: str, subject: str, *, hub_id: str, at: datetime,
    reason: str = "", before: object = None, after: object = None,
) -> int:  # fmt: skip
    """Add a line, in the transaction of the change itself; return its number."""
    row = tx.execute(select(audit_head).where(audit_head.c.id == 1).with_for_update()).one()
    bare = AuditLine(
        seq=row.seq + 1, at=at, hub_id=hub_id, actor=by.actor, action=action,
        subject=subject[:255], reason=reason, before=as_json(before), after=as_json(after),
        request_id=by.request_id[:64],
    )  # fmt: skip
    line = replace(bare, hash=line_hash(bare, row.head))
    tx.execute(insert(audit), {name: getattr(line, name) for name in _FIELDS})
    tx.execute(update(audit_head).values(seq=line.seq, head=line.hash))
    return line.seq


def lock_trail(tx: Connection) -> None:
    """Take the trail's lock before reading what a change is based on."""
    tx.execute(select(audit_head.c.seq).where(audit_head.c.id == 1).with_for_update()).one()


def trail_head(tx: Connection) -> TrailHead:
    """Read number and hash of the last line."""
    row = tx.execute(select(audit_head).where(audit_head.c.id == 1)).one()
    return TrailHead(row.seq, row.head)


def newest_lines(
    tx: Connection, *, before: int | None, actor: str | None, subject: str | None, most: int
) -> list[AuditLine]:
    """Read the newest lines, or those before one, the newest first."""
    query = _of(select(audit), actor, subject).order_by(audit.c.seq.desc()).limit(most)
    if before is not None:
        query = query.where(audit.c.seq < before)
    return [_line(row) for row in tx.execute(query).mappings()]


def audit_lines(
    tx: Connection, *, after: int = 0, subject: str | None = None, actor: str | None = None,
    most: int | None = None,
) -> Iterator[AuditLine]:  # fmt: skip
    """Read the trail in order, a page at a time, so that a long one fits in memory."""
    left = most
    while left is None or left > 0:
        query = _of(select(audit), actor, subject).where(audit.c.seq > after)
        query = query.order_by(audit.c.seq)
        page = _PAGE if left is None else min(_PAGE, left)
        rows = tx.execute(query.limit(page)).mappings().all()
        for row in rows:
            yield _line(row)
        if len(rows) < page:
            return
        after = rows[-1]["seq"]
        left = None if left is None else left - len(rows)


def _of(query: Select[Any], actor: str | None, subject: str | None) -> Select[Any]:
    if actor is not None:
        query = query.where(audit.c.actor == actor)
    return query if subject is None else query.where(audit.c.subject == subject)


def _line(row: RowMapping) -> AuditLine:
    return AuditLine(**{name: row[name] for name in _FIELDS})
