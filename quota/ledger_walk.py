"""One walk over the whole ledger, account by account: sums, chains, intervals, checkpoints.

Five million entries have to pass in less than a minute. So a block of entries is turned into
columns, whole numbers and bytes as the database has them, and what is done for each entry is done
to columns; never more than a block of the ledger is in memory.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from sqlalchemy import Connection, RowMapping, select

from quota.chain import GENESIS, digests_of
from quota.store.streams import Piles, Row, blocks, id_column, ids, rows
from quota.store.tables import accounts

_ENTRIES = (
    "SELECT account_id, seq, part, posted, held, from_at, until_at, at, {transfer_id}, {lot_id}, "
    "{lease_id}, kind, author, reason, hash FROM entries {which} ORDER BY account_id, seq"
)
_LOTS = "SELECT account_id, {id}, remaining FROM lots ORDER BY account_id"
_MARKS = "SELECT account_id, seq, number, head FROM checkpoint_heads ORDER BY account_id, number"


OnAccount: TypeAlias = Callable[[int, int], None]
"""Is told after each account how many are checked, of how many."""


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
    moved: dict[bytes, int] = field(default_factory=dict)
    """What accounts gave each other, by transfer; what sums to zero is left out."""


class _Columns(NamedTuple):
    """Entries of one account that follow each other, as columns; ids as 16 bytes."""

    seq: Row
    part: Row
    posted: Row
    held: Row
    from_at: Row
    until_at: Row
    at: Row
    transfer_id: Row
    lot_id: Row
    lease_id: Row
    kind: Row
    author: Row
    reason: Row
    hash: Row


def walk_ledger(tx: Connection, *, on_account: OnAccount | None = None) -> Walked:
    """Check all chains and figures of accounts and lots in one reading transaction."""
    walked = Walked()
    known = tx.execute(select(accounts).order_by(accounts.c.id)).mappings().all()
    entries, lots, marks = Piles(_entry_blocks(tx)), Piles(_lots(tx)), Piles(rows(tx, _MARKS))
    for number, row in enumerate(known, start=1):
        one = _Account(row, list(marks.of(row["id"])), walked)
        for _, block in entries.of(row["id"]):
            one.take(block)
        one.close(lots.of(row["id"]))
        if on_account is not None:
            on_account(number, len(known))
    for strays, what in (
        (entries.strays(), "has entries"),
        (lots.strays(), "has lots"),
        (marks.strays(), "was seen by a checkpoint"),
    ):
        walked.found += [
            Violation("I3", f"account number {number}", f"it {what}, and is not there")
            for number in strays
        ]
    return walked


def entry_rows(tx: Connection, account_id: int) -> list[Row]:
    """Read an account's entries in order as plain tuples, ids as 16 bytes."""
    found = _entry_blocks(tx, f"WHERE account_id = {account_id:d}")
    return [row for _, block in found for row in zip(*block, strict=True)]


class _Account:
    """One account on the walk: what its entries, block by block, add up to."""

    def __init__(self, row: RowMapping, marks: list[Row], walked: Walked) -> None:
        self._row, self._marks, self._walked = row, marks, walked
        self._where = f"account {row['hub_id']}/{row['name']}"
        self._posted = self._held = self._count = 0
        # Under no lot stands what no lot paid: the debt.
        self._by_lot: dict[bytes | None, int] = defaultdict(int)
        self._charged: dict[bytes, tuple[int, int]] = {}
        self._head, self._is_chained = GENESIS, True

    def take(self, block: _Columns) -> None:
        """Check the next entries, and add them up."""
        self._add_up(block)
        self._check_intervals(block)
        self._check_marks(block)
        if self._is_chained:
            self._check_chain(block)
        self._count += len(block.seq)

    def close(self, lots: Iterable[Row]) -> None:
        """Compare what was added up with what the account's row and lots say."""
        row, debt = self._row, -self._by_lot.pop(None, 0)
        sums = (("posted", self._posted), ("held", self._held), ("debt", debt))
        for name, summed in sums:
            if row[name].mgpu_ms != summed:
                self._fault("I1", f"{name} is {row[name].mgpu_ms}, its entries sum to {summed}")
        for _, lot_id, remaining in lots:
            summed = self._by_lot.pop(lot_id, 0)
            if remaining != summed:
                self._fault("I1", f"lot {lot_id.hex()}: remaining is {remaining}, not {summed}")
        for lot_id in self._by_lot:
            assert lot_id is not None, "taken out above"
            self._fault("I1", f"entries name lot {lot_id.hex()}, which is not there")
        if self._is_chained and (self._count, self._head) != (row["seq"], row["head"]):
            self._fault("I3", f"the chain ends at {self._count}, the account says {row['seq']}")
        for _, seq, number, head in self._marks:
            if seq > self._count:
                self._fault("I3", f"the tail was cut: checkpoint {number} saw entry {seq}")
            elif seq == 0 and head != GENESIS:
                self._fault("I3", f"the chain was built anew: checkpoint {number} saw another")

    def _add_up(self, block: _Columns) -> None:
        """I1: the materialized figures are the sums of the entries."""
        self._posted += sum(block.posted)
        self._held += sum(block.held)
        by_lot, moved = self._by_lot, self._walked.moved
        for lot_id, posted in zip(block.lot_id, block.posted, strict=True):
            by_lot[lot_id] += posted
        if "draw" not in block.kind and "return" not in block.kind:
            return
        for kind, transfer_id, posted in zip(
            block.kind, block.transfer_id, block.posted, strict=True
        ):
            if kind in ("draw", "return"):
                rest = moved.pop(transfer_id, 0) + posted
                if rest:
                    moved[transfer_id] = rest

    def _check_chain(self, block: _Columns) -> None:
        """I3: the chain verifies from the first entry to the account's head."""
        digests = digests_of(self._head, self._row["id"], block)
        numbers = range(self._count + 1, self._count + 1 + len(digests))
        if digests != list(block.hash) or list(block.seq) != list(numbers):
            self._is_chained = False
            for number, seq, digest, written in zip(
                numbers, block.seq, digests, block.hash, strict=True
            ):
                if seq != number or digest != written:
                    what = "was changed" if seq == number else "is missing"
                    self._fault("I3", f"entry {number} {what}")
                    return
        self._head = block.hash[-1]

    def _check_intervals(self, block: _Columns) -> None:
        """I2: the charged intervals of a lease follow each other without gap or overlap."""
        last = self._charged
        for kind, lease_id, start, end in zip(
            block.kind, block.lease_id, block.from_at, block.until_at, strict=True
        ):
            if kind != "charge" or lease_id is None or start is None or end is None:
                continue
            before = last.get(lease_id)
            last[lease_id] = now = (start, end)
            # What several lots paid of one interval comes as several entries.
            if before is not None and before[1] != start and before != now:
                what = "a gap" if before[1] < start else "an overlap"
                self._fault("I2", f"{what} in the charges of lease {lease_id.hex()}")

    def _check_marks(self, block: _Columns) -> None:
        """I3 from outside: the chain still runs through where every checkpoint saw it."""
        for _, seq, number, head in self._marks:
            place = seq - self._count - 1
            if 0 <= place < len(block.hash) and block.hash[place] != head:
                self._fault("I3", f"the chain was built anew: checkpoint {number} saw another")

    def _fault(self, law: str, what: str) -> None:
        self._walked.found.append(Violation(law, self._where, what))


# -- reading in the order of accounts -------------------------------------------------------------


def _entry_blocks(tx: Connection, which: str = "") -> Iterator[tuple[int, _Columns]]:
    names = {name: id_column(tx, name) for name in ("transfer_id", "lot_id", "lease_id")}
    for found in blocks(tx, _ENTRIES.format(which=which, **names)):
        start = 0
        while start < len(found):
            account_id = found[start][0]
            end = bisect_right(found, account_id, lo=start, key=itemgetter(0))
            _, *columns = zip(*found[start:end], strict=True)
            columns[7:10] = [ids(tx, one) for one in columns[7:10]]
            yield account_id, _Columns(*columns)
            start = end


def _lots(tx: Connection) -> Iterator[Row]:
    for found in blocks(tx, _LOTS.format(id=id_column(tx, "id"))):
        owners, names, remaining = zip(*found, strict=True)
        yield from zip(owners, ids(tx, names), remaining, strict=True)
