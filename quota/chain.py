"""The hash chain of an account: each entry's hash covers its content and the hash before it.

A changed, removed or reordered entry breaks the chain at its place; a cut tail or a chain built
anew shows against the checkpoints, which hash all account heads into one.
"""

import struct
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from quota.clock import to_ms

if TYPE_CHECKING:
    from quota.ledger import Entry

GENESIS = bytes(32)
_FIXED = struct.Struct(">qqiqqqqq16s16s16s")
_LENGTHS = struct.Struct(">III")
_NO_ID = bytes(16)
# An instant that no entry can carry, so that "none" and "1970" differ.
_NO_INSTANT = -(2**63)


def entry_hash(account_id: int, entry: "Entry", before: bytes) -> bytes:
    """SHA-256 over the hash before, the entry's numbers in fixed width, then its texts."""
    return digest_of(before, account_id, (
        entry.seq,
        entry.part,
        entry.posted.mgpu_ms,
        entry.held.mgpu_ms,
        None if entry.from_at is None else to_ms(entry.from_at),
        None if entry.until_at is None else to_ms(entry.until_at),
        to_ms(entry.at),
        entry.transfer_id.bytes,
        None if entry.lot_id is None else entry.lot_id.bytes,
        None if entry.lease_id is None else entry.lease_id.bytes,
        entry.kind,
        entry.author,
        entry.reason,
    ))  # fmt: skip


def digest_of(before: bytes, account_id: int, row: Sequence[Any]) -> bytes:
    """Hash an entry as a plain row: for the check, which has millions of them to pass."""
    start, end, lot_id, lease_id = row[4], row[5], row[8], row[9]
    kind, author, reason = row[10].encode(), row[11].encode(), row[12].encode()
    fixed = _FIXED.pack(
        account_id, row[0], row[1], row[2], row[3],
        _NO_INSTANT if start is None else start,
        _NO_INSTANT if end is None else end,
        row[6], row[7], lot_id or _NO_ID, lease_id or _NO_ID,
    )  # fmt: skip
    # Lengths first: "ab" + "c" and "a" + "bc" must not hash alike.
    lengths = _LENGTHS.pack(len(kind), len(author), len(reason))
    return sha256(b"".join((before, fixed, lengths, kind, author, reason))).digest()


def heads_hash(heads: Iterable[tuple[int, int, bytes]]) -> bytes:
    """One hash over (account id, seq, head) of all accounts, in account order."""
    digest = sha256()
    for account_id, seq, head in heads:
        digest.update(struct.pack(">qq", account_id, seq))
        digest.update(head)
    return digest.digest()
