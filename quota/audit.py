"""The trail of what people did: one hash chain over all changes that are not GPU time itself.

Every change of a limit, role, grant, stop or attachment is written here with who, why, before and
after, in the same transaction as the change. A changed, removed or reordered line breaks the
chain; a cut tail or a chain built anew shows against a head that was exported before.
"""

import hashlib
import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from quota.chain import GENESIS
from quota.clock import to_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """Who does something, and in which request."""

    actor: str
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine:
    """One thing that was done. `before` and `after` are JSON, or None where there is nothing."""

    seq: int
    at: datetime
    hub_id: str
    actor: str
    action: str
    subject: str
    reason: str
    before: str | None
    after: str | None
    request_id: str
    hash: bytes = b""


@dataclass(frozen=True, slots=True)
class TrailHead:
    """Number and hash of the last line: exported, it proves later that nothing was cut."""

    seq: int
    hash: bytes

    def text(self) -> str:
        """Write it for a file."""
        return f"{self.seq}:{self.hash.hex()}"

    @classmethod
    def parse(cls, text: str) -> "TrailHead":
        """Read what `text` wrote.

        Raises:
            ValueError: if it is something else.

        """
        number, _, digest = text.strip().partition(":")
        head = cls(int(number), bytes.fromhex(digest))
        if head.seq < 0 or len(head.hash) != len(GENESIS):
            raise ValueError(f"{text[:100]!r} is no head of an audit trail")
        return head


def as_json(value: object) -> str | None:
    """Write what was before or after, always in the same way."""
    return None if value is None else json.dumps(value, sort_keys=True, default=str)


def line_hash(line: AuditLine, before: bytes) -> bytes:
    """SHA-256 over the hash before, the line's numbers, then its texts with their lengths."""
    digest = hashlib.sha256(before + struct.pack(">qq", line.seq, to_ms(line.at)))
    for text in (line.hub_id, line.actor, line.action, line.subject, line.reason, line.before,
                 line.after, line.request_id):  # fmt: skip
        encoded = b"" if text is None else text.encode(errors="surrogatepass")
        digest.update(struct.pack(">q", -1 if text is None else len(encoded)) + encoded)
    return digest.digest()


def faults_of_trail(
    lines: Iterable[AuditLine], head: TrailHead, exported: TrailHead | None = None
) -> Iterator[str]:
    """Find what was changed in a trail; `exported` is a head written down earlier.

    Yields sentences that tell an edited line from a removed one, a cut tail and a rebuilt chain.
    """
    before, last, anchor = GENESIS, 0, None
    for line in lines:
        if line.seq != last + 1:
            yield f"line {last + 1} of the audit trail was deleted"
            return
        if line_hash(line, before) != line.hash:
            yield f"line {line.seq} of the audit trail was edited"
            return
        before, last = line.hash, line.seq
        if exported is not None and line.seq == exported.seq:
            anchor = line.hash
    if (last, before) != (head.seq, head.hash):
        yield f"the audit trail ends at line {last}, its head says {head.seq}: the tail was cut"
    if exported is None or exported.seq == 0:
        return
    if last < exported.seq:
        yield f"the tail was cut: line {exported.seq} was exported, the trail ends at {last}"
    elif anchor != exported.hash:
        yield f"the audit trail was rebuilt: line {exported.seq} is not the one exported"
