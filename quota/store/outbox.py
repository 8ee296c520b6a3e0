"""Reading and writing what goes out to people's channels, and what they chose."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from quota.store.tables import notice_choices, outbox
from quota.store.trail import lock_trail
from quota.telling import Letter

_LETTER_FIELDS = tuple(one.name for one in fields(Letter))
# Parameters of one statement: SQLite takes 32,766 at most, and a letter has 13.
_ROWS_AT_ONCE = 500
_NAMES_AT_ONCE = 5_000


# -- letters -----------------------------------------------------------------------------------


def insert_letters(tx: Connection, hub_id: str, letters: Sequence[Letter]) -> None:
    """Write letters; one whose occasion was written before for its reader is passed over."""
    make = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    for start in range(0, len(letters), _ROWS_AT_ONCE):
        rows = [_row(one) | {"hub_id": hub_id, "state": "waiting", "next_try_at": one.due_at}
                for one in letters[start : start + _ROWS_AT_ONCE]]  # fmt: skip
        tx.execute(make(outbox).values(rows).on_conflict_do_nothing())


def due_letters(tx: Connection, hub_id: str, now: datetime, *, most: int) -> list[Letter]:
    """Lock letters that can be tried now, the oldest first; what another holds is passed over."""
    query = (
        select(outbox)
        .where(outbox.c.hub_id == hub_id, outbox.c.state == "waiting")
        .where(outbox.c.next_try_at <= now)
        .order_by(outbox.c.next_try_at, outbox.c.id)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    return [_letter(row) for row in tx.execute(query).mappings()]


def try_later(tx: Connection, letters: Iterable[Letter], at: datetime, *, attempts: int) -> None:
    """Note when letters are tried next, and add to how often that was."""
    ids = [one.id for one in letters]
    if ids:
        tx.execute(
            update(outbox)
            .where(outbox.c.id.in_(ids), outbox.c.state == "waiting")
            .values(next_try_at=at, attempts=outbox.c.attempts + attempts)
        )


def finish(tx: Connection, letters: Iterable[Letter], state: str, at: datetime) -> None:
    """Note what became of letters in the end."""
    ids = [one.id for one in letters]
    if ids:
        tx.execute(
            update(outbox)
            .where(outbox.c.id.in_(ids), outbox.c.state == "waiting")
            .values(state=state, done_at=at)
        )


def oldest_due(tx: Connection, hub_id: str, now: datetime) -> datetime | None:
    """Tell since when the letter that has waited longest could have been sent."""
    query = select(func.min(outbox.c.due_at)).where(
        outbox.c.hub_id == hub_id, outbox.c.state == "waiting", outbox.c.due_at <= now
    )
    found: datetime | None = tx.execute(query).scalar_one()
    return found


def forget_letters(tx: Connection, before: datetime) -> None:
    """Remove letters that were done with long ago."""
    tx.execute(delete(outbox).where(outbox.c.done_at < before))


def _row(letter: Letter) -> dict[str, Any]:
    return {name: getattr(letter, name) for name in _LETTER_FIELDS}


def _letter(row: RowMapping) -> Letter:
    return Letter(**{name: row[name] for name in _LETTER_FIELDS})


# -- choices -----------------------------------------------------------------------------------


def choices_of(
    tx: Connection, hub_id: str, people: Collection[str]
) -> dict[tuple[str, str], tuple[str, ...]]:
    """Read what some people chose, by person and kind."""
    some, found = sorted(people), {}
    for start in range(0, len(some), _NAMES_AT_ONCE):
        query = select(notice_choices).where(
            notice_choices.c.hub_id == hub_id,
            notice_choices.c.person.in_(some[start : start + _NAMES_AT_ONCE]),
        )
        for row in tx.execute(query).mappings():
            found[row["person"], row["kind"]] = tuple(row["channels"].split())
    return found


def choosers_of(tx: Connection, hub_id: str, kind: str) -> list[str]:
    """Name everybody who wants to hear of a kind of news somewhere."""
    query = (
        select(notice_choices.c.person)
        .where(notice_choices.c.hub_id == hub_id, notice_choices.c.kind == kind)
        .where(notice_choices.c.channels != "")
        .order_by(notice_choices.c.person)
    )
    return list(tx.execute(query).scalars())


def lock_choices(tx: Connection) -> None:
    """Take the lock under which choices are changed: the trail's, as everything that people do."""
    lock_trail(tx)


def save_choices(
    tx: Connection, hub_id: str, person: str, choices: Mapping[str, Sequence[str]]
) -> None:
    """Write all that a person chose in place of what was there."""
    mine = (notice_choices.c.hub_id == hub_id, notice_choices.c.person == person)
    tx.execute(delete(notice_choices).where(*mine))
    rows = [{"hub_id": hub_id, "person": person, "kind": kind, "channels": " ".join(names)}
            for kind, names in choices.items()]  # fmt: skip
    if rows:
        tx.execute(insert(notice_choices), rows)
