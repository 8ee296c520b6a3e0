"""The hash chain of an account: each entry's hash covers its content and the hash before it.

A changed, removed or reordered entry breaks the chain at its place; a cut tail or a chain built
anew shows against the checkpoints, which hash all account heads into one.
"""

import hashlib
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING

from quota.clock import to_ms

if TYPE_CHECKING:
    from quota.ledger import Entry

GENESIS = bytes(32)
_FIXED = struct.Struct(">qqiqqqqq16s16s16s")
_NO_ID = bytes(16)
# An instant that no entry can carry, so that "none" and "1970" differ.
_NO_INSTANT = -(2**63)


def entry_hash(account_id: int, entry: "Entry", before: bytes) -> bytes:
    """SHA-256 over the hash before, the entry's numbers in fixed width, then its texts."""
    fixed = _FIXED.pack(
        account_id,
        entry.seq,
        entry.part,
        entry.posted.mgpu_ms,
        entry.held.mgpu_ms,
        _NO_INSTANT if entry.from_at is None else to_ms(entry.from_at),
        _NO_INSTANT if entry.until_at is None else to_ms(entry.until_at),
        to_ms(entry.at),
        entry.transfer_id.bytes,
        _NO_ID if entry.lot_id is None else entry.lot_id.bytes,
        _NO_ID if entry.lease_id is None else entry.lease_id.bytes,
    )
    texts = [part.encode() for part in (entry.kind, entry.author, entry.reason)]
    # Lengths first: "ab" + "c" and "a" + "bc" must not hash alike.
    lengths = struct.pack(">III", *map(len, texts))
    return hashlib.sha256(b"".join((before, fixed, lengths, *texts))).digest()


def heads_hash(heads: Iterable[tuple[int, int, bytes]]) -> bytes:
    """One hash over (account id, seq, head) of all accounts, in account order."""
    digest = hashlib.sha256()
    for account_id, seq, head in heads:
        digest.update(struct.pack(">qq", account_id, seq))
        digest.update(head)
    return digest.digest()
