"""The laws of the books as functions. Tests, `gpulab check` and the worker call them.

Each takes plain rows and yields what is wrong, as data; nothing is repaired here.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from uuid import UUID

from sqlalchemy import Connection, RowMapping, select

from quota.amount import GpuTime
from quota.chain import GENESIS, entry_hash, heads_hash
from quota.clock import to_ms
from quota.ledger import Entry
from quota.placement import FULL_MGPU
from quota.store.tables import (
    accounts,
    checkpoint_heads,
    checkpoints,
    entries,
    gpus,
    leases,
    lots,
)

ZERO = GpuTime.ZERO


@dataclass(frozen=True, slots=True)
class Violation:
    """A law that does not hold, and where."""

    law: str
    where: str
    what: str


def check_books(tx: Connection, *, anchor: tuple[int, str] | None = None) -> list[Violation]:
    """Check all books in one reading transaction; an empty list is right.

    `anchor` is a checkpoint's number and hash as the log has them: it shows what somebody who can
    write every table, the checkpoints too, has changed.
    """
    found: list[Violation] = []
    ledger = _entries_by_account(tx)
    for row in tx.execute(select(accounts)).mappings():
        mine = ledger.get(row["id"], [])
        where = f"account {row['hub_id']}/{row['name']}"
        found += _sums(where, mine, row["posted"], row["held"], row["debt"])
        found += _chain(where, row["id"], mine, row["seq"], row["head"])
        found += _intervals(where, mine)
    found += _lots(tx, ledger)
    found += _holds(tx)
    found += _occupations(tx)
    found += _checkpoints(tx, ledger, anchor)
    return found


def _entries_by_account(tx: Connection) -> dict[int, list[Entry]]:
    query = select(entries).order_by(entries.c.account_id, entries.c.seq)
    found: dict[int, list[Entry]] = defaultdict(list)
    for row in tx.execute(query).mappings():
        fields = {name: row[name] for name in Entry.__slots__}
        found[row["account_id"]].append(Entry(**fields))
    return found


def _sums(
    where: str, mine: list[Entry], posted: GpuTime, held: GpuTime, debt: GpuTime
) -> Iterator[Violation]:
    """I1: the materialized figures are the sums of the entries."""
    for name, stored, summed in (
        ("posted", posted, GpuTime.total(one.posted for one in mine)),
        ("held", held, GpuTime.total(one.held for one in mine)),
        ("debt", debt, -GpuTime.total(one.posted for one in mine if one.lot_id is None)),
    ):
        if stored != summed:
            what = f"{name} is {stored.mgpu_ms}, its entries sum to {summed.mgpu_ms}"
            yield Violation("I1", where, what)


def _chain(
    where: str, account_id: int, mine: list[Entry], seq: int, head: bytes
) -> Iterator[Violation]:
    """I3: the chain verifies from the first entry to the account's head."""
    before = GENESIS
    for number, entry in enumerate(mine, start=1):
        if entry.seq != number:
            yield Violation("I3", where, f"entry {number} is missing")
            return
        if entry_hash(account_id, entry, before) != entry.hash:
            yield Violation("I3", where, f"entry {number} was changed")
            return
        before = entry.hash
    if (len(mine), before) != (seq, head):
        yield Violation("I3", where, f"the chain ends at {len(mine)}, the account says {seq}")


def _intervals(where: str, mine: list[Entry]) -> Iterator[Violation]:
    """I2: the charged intervals of a lease follow each other without gap or overlap."""
    spans: dict[UUID, set[tuple[int, int]]] = defaultdict(set)
    for entry in mine:
        if entry.kind == "charge" and entry.lease_id and entry.from_at and entry.until_at:
            spans[entry.lease_id].add((to_ms(entry.from_at), to_ms(entry.until_at)))
    for lease_id, some in spans.items():
        for (_, end), (start, _) in pairwise(sorted(some)):
            if end != start:
                kind = "a gap" if end < start else "an overlap"
                yield Violation("I2", where, f"{kind} in the charges of lease {lease_id}")


def _lots(tx: Connection, ledger: dict[int, list[Entry]]) -> Iterator[Violation]:
    """I1 for lots: what remains is what the entries of the lot sum to."""
    sums: dict[UUID, GpuTime] = defaultdict(lambda: ZERO)
    for mine in ledger.values():
        for entry in mine:
            if entry.lot_id is not None:
                sums[entry.lot_id] += entry.posted
    for row in tx.execute(select(lots)).mappings():
        if row["remaining"] != sums[row["id"]]:
            what = f"remaining is {row['remaining'].mgpu_ms}, not {sums[row['id']].mgpu_ms}"
            yield Violation("I1", f"lot {row['id']}", what)


def _holds(tx: Connection) -> Iterator[Violation]:
    """I1 for holds: what an account holds is what its open leases hold."""
    sums: dict[int, GpuTime] = defaultdict(lambda: ZERO)
    for row in tx.execute(select(leases)).mappings():
        if row["state"] == "ended" and row["hold"]:
            yield Violation("I7", f"lease {row['id']}", "it has ended and still holds time")
        sums[row["account_id"]] += row["hold"]
    for row in tx.execute(select(accounts)).mappings():
        if row["held"] != sums[row["id"]]:
            what = f"held is {row['held'].mgpu_ms}, leases hold {sums[row['id']].mgpu_ms}"
            yield Violation("I1", f"account {row['hub_id']}/{row['name']}", what)


def _occupations(tx: Connection) -> Iterator[Violation]:
    """What is taken of a GPU is what its open leases occupy, and never more than the GPU."""
    used: dict[str, list[tuple[int, int]]] = defaultdict(list)
    query = select(leases).where(leases.c.state != "ended", leases.c.gpu_uuid.is_not(None))
    for row in tx.execute(query).mappings():
        used[row["gpu_uuid"]].append((row["share_mgpu"], row["memory_mib"]))
    for row in tx.execute(select(gpus)).mappings():
        mine = used[row["uuid"]]
        summed = (sum(share for share, _ in mine), sum(mib for _, mib in mine), len(mine))
        stored = (row["used_mgpu"], row["used_mib"], row["sharers"])
        if summed != stored:
            yield Violation("slots", f"GPU {row['uuid']}", f"leases take {summed}, not {stored}")
        if summed[0] > FULL_MGPU or (row["in_service"] and summed[1] > row["memory_mib"]):
            yield Violation("slots", f"GPU {row['uuid']}", "it is over-committed")


def _checkpoints(
    tx: Connection, ledger: dict[int, list[Entry]], anchor: tuple[int, str] | None
) -> Iterator[Violation]:
    """I3 from outside the chains: each still runs through where every checkpoint saw it."""
    marks: dict[int, list[RowMapping]] = defaultdict(list)
    query = select(checkpoint_heads).order_by(checkpoint_heads.c.account_id)
    for row in tx.execute(query).mappings():
        marks[row["number"]].append(row)
    heads: dict[int, tuple[int, bytes]] = {}
    hashes: dict[int, bytes] = {}
    for row in tx.execute(select(checkpoints).order_by(checkpoints.c.number)).mappings():
        number = row["number"]
        for mark in marks[number]:
            heads[mark["account_id"]] = (mark["seq"], mark["head"])
            yield from _against(mark, ledger.get(mark["account_id"], []))
        hashes[number] = heads_hash((key, *heads[key]) for key in sorted(heads))
        if hashes[number] != row["hash"]:
            yield Violation("I3", f"checkpoint {number}", "its heads do not hash to it")
    if anchor is not None and hashes.get(anchor[0], b"").hex() != anchor[1]:
        yield Violation("I3", f"checkpoint {anchor[0]}", "it is not the one that the log has")


def _against(mark: RowMapping, mine: list[Entry]) -> Iterator[Violation]:
    """Compare one account's chain with where a checkpoint saw it."""
    where = f"account number {mark['account_id']}"
    if len(mine) < mark["seq"]:
        what = f"the tail was cut: checkpoint {mark['number']} saw entry {mark['seq']}"
        yield Violation("I3", where, what)
    elif (mine[mark["seq"] - 1].hash if mark["seq"] else GENESIS) != mark["head"]:
        what = f"the chain was built anew: checkpoint {mark['number']} saw another"
        yield Violation("I3", where, what)


def describe(found: Iterable[Violation]) -> str:
    """Write violations as lines for people."""
    return "\n".join(f"{one.law}: {one.where}: {one.what}" for one in found)
