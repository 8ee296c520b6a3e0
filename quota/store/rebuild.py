"""Making the materialized figures anew from the ledger, which alone says what is owned."""

from collections import defaultdict
from uuid import UUID

from sqlalchemy import Connection, select, update

from quota.amount import GpuTime
from quota.chain import GENESIS
from quota.store.tables import accounts, entries, lots

ZERO = GpuTime.ZERO


def rebuild_figures(tx: Connection) -> None:
    """Write what accounts and lots say of amounts from the entries' sums.

    For an operator whose `accounts` or `lots` were damaged; check the chains afterwards.
    """
    remaining: dict[UUID, GpuTime] = defaultdict(lambda: ZERO)
    amounts: dict[UUID, GpuTime] = defaultdict(lambda: ZERO)
    for account_id in tx.execute(select(accounts.c.id).order_by(accounts.c.id)).scalars().all():
        posted = held = debt = ZERO
        seq, head = 0, GENESIS
        query = select(entries).where(entries.c.account_id == account_id).order_by(entries.c.seq)
        for row in tx.execute(query).mappings():
            posted, held = posted + row["posted"], held + row["held"]
            seq, head = row["seq"], row["hash"]
            if row["lot_id"] is None:
                debt -= row["posted"]
                continue
            remaining[row["lot_id"]] += row["posted"]
            # What came from another account makes a lot larger; what went there does not
            # make the other's smaller: it was given, and is used.
            is_given = row["kind"] == "draw" and row["posted"] > ZERO
            if is_given or row["kind"] in ("give", "adjust"):
                amounts[row["lot_id"]] += row["posted"]
        figures = {"posted": posted, "held": held, "debt": debt, "seq": seq, "head": head}
        tx.execute(update(accounts).where(accounts.c.id == account_id).values(figures))
    for lot_id in tx.execute(select(lots.c.id)).scalars().all():
        figures = {"remaining": remaining[lot_id], "amount": amounts[lot_id]}
        tx.execute(update(lots).where(lots.c.id == lot_id).values(figures))
