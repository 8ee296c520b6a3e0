"""The rows of everybody with an open lease, as they stand: enough to see whether any has changed.

Making instants, amounts and leases of thousands of rows takes most of a tick's reading, and is not
needed where nothing has changed since the last.
"""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, select

from quota.leases import Lease
from quota.store.statements import Statement, fetch_bare
from quota.store.tables import accounts, leases

# What is in an account's lots follows from its chain of entries: the head tells two states apart.
_ACCOUNT_FIELDS = ("id", "seq", "head", "posted", "held", "debt", "allowance_from")
_LEASE_FIELDS = tuple(
    name for name in Lease.__slots__ if name not in ("account_id", "observed_until")
)
_IS_OPEN = (accounts.c.hub_id == bindparam("hub"), leases.c.state != "ended")
_ACCOUNTS = Statement(
    select(*(accounts.c[name] for name in _ACCOUNT_FIELDS))
    .where(accounts.c.id.in_(select(leases.c.account_id).join(accounts).where(*_IS_OPEN)))
    .order_by(accounts.c.id)
)
_LEASES = Statement(
    select(
        leases.c.account_id, leases.c.observed_until, *(leases.c[name] for name in _LEASE_FIELDS)
    )
    .join(accounts)
    .where(*_IS_OPEN)
    .order_by(leases.c.account_id, leases.c.requested_at, leases.c.id)
)


@dataclass(slots=True)
class BareRows:
    """An account's row, and those of its open leases; up to when each was seen, in ms, apart.

    The last changes at each tick and alone means nothing, so that it is not compared.
    """

    account: tuple[Any, ...]
    leases: list[tuple[Any, ...]] = field(default_factory=list)
    seen_ms: list[int | None] = field(default_factory=list, compare=False)


def bare_rows(tx: Connection, hub_id: str) -> dict[int, BareRows]:
    """Read who has open leases, by account, in the order of the accounts' ids.

    The accounts are read first: a lease that is opened in between makes a difference that the
    next look shows.
    """
    whose = {"hub": hub_id}
    found = {row[0]: BareRows(tuple(row)) for row in fetch_bare(tx, _ACCOUNTS, whose)}
    for account_id, seen_ms, *rest in fetch_bare(tx, _LEASES, whose):
        if account_id in found:
            found[account_id].leases.append(tuple(rest))
            found[account_id].seen_ms.append(seen_ms)
    return found
