"""Writing the books: what a use case changed, in as few statements as it takes."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, bindparam, func, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from quota.chain import GENESIS, heads_hash
from quota.clock import to_ms
from quota.leases import Lease
from quota.ledger import ZERO, Account, Entry, Lot
from quota.placement import Ask
from quota.reconcile import Notice
from quota.store import slots
from quota.store.statements import Statement, write, written_point
from quota.store.tables import (
    accounts,
    checkpoint_heads,
    checkpoints,
    counters,
    entries,
    leases,
    lots,
    notices,
)

_ENTRY_FIELDS = tuple(Entry.__slots__)
_LEASE_FIELDS = tuple(Lease.__slots__)
_LOT_FIELDS = tuple(Lot.__slots__)

# Compiled once: an admission is bound by Python, not by the disk.
_UPDATE_ACCOUNT = Statement(
    update(accounts)
    .where(accounts.c.id == bindparam("account_key"))
    .values({name: bindparam(name) for name in
             ("posted", "held", "debt", "seq", "head", "allowance_from")})
)  # fmt: skip
_UPDATE_LOT = Statement(
    update(lots)
    .where(lots.c.id == bindparam("lot_key"))
    .values({name: bindparam(name) for name in ("amount", "remaining", "ends_at", "closed_at")})
)
_UPDATE_LEASE = Statement(
    update(leases)
    .where(leases.c.id == bindparam("lease_key"))
    .values({name: bindparam(name) for name in _LEASE_FIELDS if name not in ("id", "account_id")})
)
_NEW_LOT, _NEW_ENTRY, _NEW_LEASE = (
    Statement(insert(table).values({column.name: bindparam(column.name) for column in table.c}))
    for table in (lots, entries, leases)
)
_NEW_ACCOUNT = {
    dialect.__name__.rpartition(".")[2]: dialect.insert(accounts).on_conflict_do_nothing()
    for dialect in (sqlite, postgresql)
}
_SEEN = Statement(
    update(leases)
    .where(leases.c.id == bindparam("lease_key"), leases.c.state != "ended")
    .values(observed_until=bindparam("until"))
)
# The same for any number of leases in one statement; SQLite has no lists, and no round trips.
_SEEN_LISTED = text("""
UPDATE leases SET observed_until = seen.until
FROM unnest(CAST(:ids AS uuid[]), CAST(:untils AS bigint[])) AS seen(id, until)
WHERE leases.id = seen.id AND leases.state <> 'ended'
""")


def create_account(tx: Connection, hub_id: str, name: str, *, kind: str = "scholar") -> None:
    """Make an account if it is not there; two makers at once make one."""
    values = {
        "hub_id": hub_id, "kind": kind, "name": name, "posted": ZERO, "held": ZERO,
        "debt": ZERO, "seq": 0, "head": GENESIS,
    }  # fmt: skip
    tx.execute(_NEW_ACCOUNT[tx.dialect.name], values)


def save_account(tx: Connection, account: Account) -> None:
    """Write what was done to an account since it was loaded: entries, lots, the account's row."""
    save_accounts(tx, [account])


def save_accounts(tx: Connection, some: Iterable[Account]) -> None:
    """Write what was done to accounts, in as many statements as for one."""
    touched = [one for one in some if one.new_entries or one.changed_lots or one.new_lots]
    if not touched:
        return
    new = [_lot_row(account, lot) for account in touched for lot in account.new_lots]
    if new:
        write(tx, _NEW_LOT, new)
    changed = [row for account in touched for row in _changed_lots(account)]
    if changed:
        write(tx, _UPDATE_LOT, changed)
    written_point(tx, "lots_saved")
    rows = [_entry_row(account, one) for account in touched for one in account.new_entries]
    if rows:
        write(tx, _NEW_ENTRY, rows)
    written_point(tx, "entries_saved")
    write(tx, _UPDATE_ACCOUNT, [
        {"account_key": one.id, "posted": one.posted, "held": one.held, "debt": one.debt,
         "seq": one.seq, "head": one.head, "allowance_from": one.allowance_from}
        for one in touched
    ])  # fmt: skip
    _count_charges(tx, touched)
    for account in touched:
        account.new_entries, account.new_lots, account.changed_lots = [], [], {}


def _changed_lots(account: Account) -> list[dict[str, Any]]:
    new = {lot.id for lot in account.new_lots}
    return [
        {"lot_key": lot.id, "amount": lot.amount, "remaining": lot.remaining,
         "ends_at": lot.ends_at, "closed_at": lot.closed_at}
        for lot in account.changed_lots.values() if lot.id not in new
    ]  # fmt: skip


def insert_lease(tx: Connection, lease: Lease) -> None:
    """Write a new lease."""
    write(tx, _NEW_LEASE, [_lease_row(lease)])


def update_lease(tx: Connection, before: Lease, after: Lease) -> None:
    """Write a lease's new state; a slot that it gave up is free with the same commit."""
    update_leases(tx, [(before, after)])


def update_leases(tx: Connection, pairs: Iterable[tuple[Lease, Lease]]) -> None:
    """Write the new states of many leases."""
    rows = []
    for before, after in pairs:
        if before == after:
            continue
        if before.gpu_uuid is not None and after.gpu_uuid is None:
            slots.release_gpu(tx, before.gpu_uuid, Ask(before.share_mgpu, before.memory_mib))
        row = _lease_row(after)
        row["lease_key"] = row.pop("id")
        del row["account_id"]
        rows.append(row)
    if rows:
        write(tx, _UPDATE_LEASE, rows)


def mark_seen(tx: Connection, seen: Iterable[tuple[UUID, datetime]]) -> None:
    """Write for many leases at once up to when they have been seen running."""
    some = list(seen)
    if some and tx.dialect.name == "postgresql":
        ids, untils = zip(*some, strict=True)
        tx.execute(_SEEN_LISTED, {"ids": [*ids], "untils": [to_ms(one) for one in untils]})
    elif some:
        write(tx, _SEEN, [{"lease_key": one, "until": until} for one, until in some])


def save_notices(tx: Connection, told: Iterable[Notice]) -> None:
    """Write what scholars are told."""
    rows = [
        {"id": uuid4(), "account_id": one.account_id, "lease_id": one.lease_id, "kind": one.kind,
         "text": one.text, "at": one.at} for one in told
    ]  # fmt: skip
    if rows:
        tx.execute(insert(notices), rows)


def add_to_counter(tx: Connection, name: str, label: str, by: int) -> None:
    """Add to one of the worker's totals."""
    make = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    statement = make(counters).values(name=name, label=label, value=by)
    tx.execute(
        statement.on_conflict_do_update(
            index_elements=["name", "label"], set_={"value": counters.c.value + by}
        )
    )


def set_counter(tx: Connection, name: str, label: str, value: int) -> None:
    """Set one of the worker's figures."""
    make = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    statement = make(counters).values(name=name, label=label, value=value)
    tx.execute(
        statement.on_conflict_do_update(index_elements=["name", "label"], set_={"value": value})
    )


def write_checkpoint(tx: Connection, at: datetime) -> tuple[int, str]:
    """Hash all account heads into one; return the checkpoint's number and hash."""
    heads = tx.execute(
        select(accounts.c.id, accounts.c.seq, accounts.c.head).order_by(accounts.c.id)
    ).all()
    marks = checkpoint_heads
    query = select(marks.c.account_id, func.max(marks.c.seq)).group_by(marks.c.account_id)
    marked = {row[0]: row[1] for row in tx.execute(query)}
    digest = heads_hash((row.id, row.seq, row.head) for row in heads)
    total = sum(row.seq for row in heads)
    tx.execute(insert(checkpoints).values(at=at, entries=total, hash=digest))
    number = tx.execute(select(func.max(checkpoints.c.number))).scalar_one()
    moved = [
        {"number": number, "account_id": row.id, "seq": row.seq, "head": row.head}
        for row in heads if marked.get(row.id) != row.seq
    ]  # fmt: skip
    if moved:
        tx.execute(insert(marks), moved)
    return number, digest.hex()


def _count_charges(tx: Connection, some: Iterable[Account]) -> None:
    charged = sum(
        -one.posted.mgpu_ms
        for account in some for one in account.new_entries if one.kind == "charge"
    )  # fmt: skip
    if charged:
        add_to_counter(tx, "charged_mgpu_ms", "", charged)


def _entry_row(account: Account, entry: Entry) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(entry, name) for name in _ENTRY_FIELDS}
    row["account_id"] = account.id
    return row


def _lease_row(lease: Lease) -> dict[str, Any]:
    return {name: getattr(lease, name) for name in _LEASE_FIELDS}


def _lot_row(account: Account, lot: Lot) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(lot, name) for name in _LOT_FIELDS}
    row["account_id"] = account.id
    return row
