"""One walk over the whole ledger, account by account: sums, chains, intervals, checkpoints.

Five million entries have to pass in less than a minute, so rows are plain tuples here: whole
numbers and bytes as the database has them, never a whole ledger in memory.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sqlalchemy import Connection, RowMapping, select, text

from quota.chain import GENESIS, digest_of
from quota.store.tables import accounts, checkpoint_heads

_COLUMNS = (
    "seq, part, posted, held, from_at, until_at, at, {transfer_id}, {lot_id}, {lease_id}, kind, "
    "author, reason, hash"
)
_IDS = ("transfer_id", "lot_id", "lease_id")

_Row: TypeAlias = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Violation:
    """A law that does not hold, and where."""

    law: str
    where: str
    what: str


@dataclass(slots=True)
class Walked:
    """What a walk has found, and the sums that other laws need."""

    found: list[Violation] = field(default_factory=list)
    by_lot: dict[bytes, int] = field(default_factory=lambda: defaultdict(int))
    moved: dict[bytes, int] = field(default_factory=dict)
    """What accounts gave each other, by transfer; what sums to zero is left out."""


@dataclass(slots=True)
class _Figures:
    """What an account's row should say, summed from its entries."""

    posted: int = 0
    held: int = 0
    debt: int = 0


def walk_ledger(tx: Connection) -> Walked:
    """Check all chains and figures of accounts in one reading transaction."""
    walked = Walked()
    for row in tx.execute(select(accounts).order_by(accounts.c.id)).mappings().all():
        where = f"account {row['hub_id']}/{row['name']}"
        rows = entry_rows(tx, row["id"])
        walked.found += _figures(where, row, rows, walked)
        walked.found += _chain(where, row, rows)
        walked.found += _intervals(where, rows)
        walked.found += _marks(tx, row["id"], rows)
    return walked


def entry_rows(tx: Connection, account_id: int) -> list[_Row]:
    """Read an account's entries in order as plain tuples, ids as 16 bytes."""
    is_postgres = tx.dialect.name == "postgresql"
    form = "uuid_send({})" if is_postgres else "{}"
    columns = _COLUMNS.format(**{name: form.format(name) for name in _IDS})
    query = text(f"SELECT {columns} FROM entries WHERE account_id = :account_id ORDER BY seq")  # noqa: S608  # names of ours
    rows: Sequence[_Row] = tx.execute(query, {"account_id": account_id}).all()
    if is_postgres:
        return list(rows)
    of_hex = bytes.fromhex
    return [
        (*row[:7], of_hex(row[7]), row[8] and of_hex(row[8]), row[9] and of_hex(row[9]), *row[10:])
        for row in rows
    ]


def _figures(
    where: str, account: RowMapping, rows: Sequence[_Row], walked: Walked
) -> Iterator[Violation]:
    """I1: the materialized figures are the sums of the entries."""
    sums, by_lot, moved = _Figures(), walked.by_lot, walked.moved
    for _, _, posted, held, _, _, _, transfer_id, lot_id, _, kind, _, _, _ in rows:
        sums.posted += posted
        sums.held += held
        if lot_id is None:
            sums.debt -= posted
        else:
            by_lot[lot_id] += posted
        if kind in ("draw", "return"):
            rest = moved.pop(transfer_id, 0) + posted
            if rest:
                moved[transfer_id] = rest
    for name, summed in (("posted", sums.posted), ("held", sums.held), ("debt", sums.debt)):
        stored = account[name].mgpu_ms
        if stored != summed:
            yield Violation("I1", where, f"{name} is {stored}, its entries sum to {summed}")


def _chain(where: str, account: RowMapping, rows: Sequence[_Row]) -> Iterator[Violation]:
    """I3: the chain verifies from the first entry to the account's head."""
    before, account_id = GENESIS, account["id"]
    for number, row in enumerate(rows, start=1):
        if row[0] != number:
            yield Violation("I3", where, f"entry {number} is missing")
            return
        if digest_of(before, account_id, row) != row[13]:
            yield Violation("I3", where, f"entry {number} was changed")
            return
        before = row[13]
    if (len(rows), before) != (account["seq"], account["head"]):
        what = f"the chain ends at {len(rows)}, the account says {account['seq']}"
        yield Violation("I3", where, what)


def _intervals(where: str, rows: Sequence[_Row]) -> Iterator[Violation]:
    """I2: the charged intervals of a lease follow each other without gap or overlap."""
    last: dict[bytes, tuple[int, int]] = {}
    for _, _, _, _, start, end, _, _, _, lease_id, kind, _, _, _ in rows:
        if kind != "charge" or lease_id is None or start is None or end is None:
            continue
        before = last.get(lease_id, (start, start))
        last[lease_id] = (start, end)
        # What several lots paid of one interval comes as several entries.
        if before != (start, end) and before[1] != start:
            what = "a gap" if before[1] < start else "an overlap"
            yield Violation("I2", where, f"{what} in the charges of lease {lease_id.hex()}")


def _marks(tx: Connection, account_id: int, rows: Sequence[_Row]) -> Iterator[Violation]:
    """I3 from outside: the chain still runs through where every checkpoint saw it."""
    where = f"account number {account_id}"
    query = select(checkpoint_heads).where(checkpoint_heads.c.account_id == account_id)
    for mark in tx.execute(query.order_by(checkpoint_heads.c.number)).mappings():
        seq, number = mark["seq"], mark["number"]
        if len(rows) < seq:
            what = f"the tail was cut: checkpoint {number} saw entry {seq}"
            yield Violation("I3", where, what)
        elif (rows[seq - 1][13] if seq else GENESIS) != mark["head"]:
            what = f"the chain was built anew: checkpoint {number} saw another"
            yield Violation("I3", where, what)
