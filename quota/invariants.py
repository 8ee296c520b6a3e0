"""The laws of the books as functions. Tests, `gpulab check` and the worker call them.

Each takes plain rows and yields what is wrong, as data; nothing is repaired here.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from sqlalchemy import Connection, or_, select

from quota.amount import GpuTime
from quota.chain import heads_hash
from quota.ledger_walk import OnAccount, Violation, walk_ledger
from quota.placement import FULL_MGPU
from quota.store.streams import Piles, rows
from quota.store.tables import accounts, checkpoints, gpus, leases

__all__ = ["Violation", "check_books", "describe"]

ZERO = GpuTime.ZERO

_HEADS = "SELECT number, account_id, seq, head FROM checkpoint_heads ORDER BY number"


def check_books(
    tx: Connection, *, anchor: tuple[int, str] | None = None, on_account: OnAccount | None = None
) -> list[Violation]:
    """Check all books in one reading transaction; an empty list is right.

    `anchor` is a checkpoint's number and hash as the log has them: it shows what somebody who can
    write every table, the checkpoints too, has changed.
    """
    walked = walk_ledger(tx, on_account=on_account)
    found = walked.found
    found += _draws(walked.moved)
    found += _holds(tx)
    found += _occupations(tx)
    found += _checkpoints(tx, anchor)
    return found


def _draws(moved: Mapping[bytes, int]) -> Iterator[Violation]:
    """What one account gives another gets: nothing is made or lost on the way."""
    for transfer_id, rest in moved.items():
        what = f"the postings of all accounts sum to {rest}, not to 0"
        yield Violation("draws", f"transfer {transfer_id.hex()}", what)


def _holds(tx: Connection) -> Iterator[Violation]:
    """I1 for holds: what an account holds is what its open leases hold."""
    sums: dict[int, GpuTime] = defaultdict(lambda: ZERO)
    # Years of ended leases that hold nothing have nothing to say here.
    columns = (leases.c.id, leases.c.account_id, leases.c.state, leases.c.hold)
    query = select(*columns).where(or_(leases.c.state != "ended", leases.c.hold != ZERO))
    for row in tx.execute(query).mappings():
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


def _checkpoints(tx: Connection, anchor: tuple[int, str] | None) -> Iterator[Violation]:
    """I3 from outside the chains: each checkpoint is the hash of the heads that it saw."""
    marks = Piles(rows(tx, _HEADS))
    heads: dict[int, tuple[int, bytes]] = {}
    hashes: dict[int, bytes] = {}
    for row in tx.execute(select(checkpoints).order_by(checkpoints.c.number)).mappings():
        number = row["number"]
        heads |= {account_id: (seq, head) for _, account_id, seq, head in marks.of(number)}
        hashes[number] = heads_hash((key, *heads[key]) for key in sorted(heads))
        if hashes[number] != row["hash"]:
            yield Violation("I3", f"checkpoint {number}", "its heads do not hash to it")
    if anchor is not None and hashes.get(anchor[0], b"").hex() != anchor[1]:
        yield Violation("I3", f"checkpoint {anchor[0]}", "it is not the one that the log has")


def describe(found: Iterable[Violation]) -> str:
    """Write violations as lines for people."""
    return "\n".join(f"{one.law}: {one.where}: {one.what}" for one in found)
