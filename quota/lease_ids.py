"""Lease ids that tell which of two was made first, by the clock of the hub that made both.

A request that was stuck on its way (a frozen service, a full socket) may arrive after a newer
session of the same server is running. Its id says so, and no clocks of two machines are compared.
"""

import secrets
from datetime import datetime
from uuid import UUID

from quota.clock import to_ms

_VERSION = 7
_TIME_BITS, _RANDOM_BITS = 48, 80


def make_lease_id(now: datetime) -> UUID:
    """Make a new id: a UUID of version 7 (RFC 9562), milliseconds first and then chance."""
    return lease_id_of(now, secrets.randbits(_RANDOM_BITS))


def lease_id_of(now: datetime, chance: int) -> UUID:
    """Make the id of an instant out of 80 bits of chance that somebody else has drawn."""
    ms = to_ms(now) & (1 << _TIME_BITS) - 1
    bits = ms << _RANDOM_BITS | chance & (1 << _RANDOM_BITS) - 1
    bits = bits & ~(0xF << 76) | _VERSION << 76
    return UUID(int=bits & ~(0x3 << 62) | 0x2 << 62)


def was_made_before(one: UUID, other: UUID) -> bool:
    """Tell whether an id is surely the older one; of ids that carry no time it is never sure."""
    if one.version != _VERSION or other.version != _VERSION:
        return False
    return one.int >> _RANDOM_BITS < other.int >> _RANDOM_BITS
