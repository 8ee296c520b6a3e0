"""The hash chain of an account: each entry's hash covers its content and the hash before it.

A changed, removed or reordered entry breaks the chain at its place; a cut tail or a chain built
anew shows against the checkpoints, which hash all account heads into one.
"""

import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha256
from itertools import repeat
from typing import TYPE_CHECKING, Any

from quota.clock import to_ms

if TYPE_CHECKING:
    from quota.ledger import Entry

GENESIS = bytes(32)
_FIXED = struct.Struct(">32sqqiqqqqq16s16s16s")
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
    """Hash an entry as a plain row."""
    start, end, lot_id, lease_id = row[4], row[5], row[8], row[9]
    fixed = _FIXED.pack(
        before, account_id, row[0], row[1], row[2], row[3],
        _NO_INSTANT if start is None else start,
        _NO_INSTANT if end is None else end,
        row[6], row[7], lot_id or _NO_ID, lease_id or _NO_ID,
    )  # fmt: skip
    return sha256(fixed + _with_lengths(*row[10:13])).digest()


def digests_of(before: bytes, account_id: int, columns: Sequence[Sequence[Any]]) -> list[bytes]:
    """Hash entries that follow each other, given as columns: for the check, which has millions.

    The same as `digest_of` for each row, and the hash that is written in the row before it.
    """
    seq, part, posted, held, start, end, at, transfer_id, lot_id, lease_id = columns[:10]
    texts, written = columns[10:13], columns[13]
    fixed = map(
        _FIXED.pack, (before, *written[:-1]), repeat(account_id), seq, part, posted, held,
        [_NO_INSTANT if one is None else one for one in start],
        [_NO_INSTANT if one is None else one for one in end],
        at, transfer_id, [one or _NO_ID for one in lot_id], [one or _NO_ID for one in lease_id],
    )  # fmt: skip
    return [
        sha256(numbers + words).digest()
        for numbers, words in zip(fixed, map(_with_lengths, *texts), strict=True)
    ]


@lru_cache(maxsize=1024)
def _with_lengths(*texts: str) -> bytes:
    """Write texts with their lengths first: "ab" + "c" and "a" + "bc" must not hash alike."""
    written = [one.encode() for one in texts]
    return b"".join((_LENGTHS.pack(*map(len, written)), *written))


def heads_hash(heads: Iterable[tuple[int, int, bytes]]) -> bytes:
    """One hash over (account id, seq, head) of all accounts, in account order."""
    digest = sha256()
    for account_id, seq, head in heads:
        digest.update(struct.pack(">qq", account_id, seq))
        digest.update(head)
    return digest.digest()
