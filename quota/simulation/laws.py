"""What must hold after every step of a simulation: of the books, and against what really ran."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from sqlalchemy import Connection, select

from quota.audit import faults_of_trail
from quota.clock import ms_between
from quota.invariants import Violation, check_books
from quota.lab import Lab
from quota.placement import FULL_MGPU
from quota.simulation.deeds import Deed
from quota.simulation.memory import MemoryKeeper
from quota.simulation.world import Ran
from quota.store import trail
from quota.store.tables import attachments, entries, hour_requests, leases, lots


def broken_now(tx: Connection, lab: Lab, ran: Iterable[Ran]) -> list[Violation]:
    """Check the books, that no GPU really runs more than it is, and that weeks come once."""
    return [*check_books(tx), *_crowded(lab, ran), *_given_twice(tx)]


def broken_at_end(
    tx: Connection, weights: Mapping[str, Collection[int]], ran: Iterable[Ran],
    acknowledged: Mapping[UUID, Deed], *, slack: timedelta,
) -> list[Violation]:  # fmt: skip
    """Check what was charged against what ran, what was promised, and that nothing is open.

    `weights` are those that each flavor ever had.
    """
    wrong = faults_of_trail(trail.audit_lines(tx), trail.trail_head(tx))
    return [
        *_metered(tx, weights, ran, slack), *_kept(tx, acknowledged), *_answered(tx),
        *_refunded(tx), *_still_open(tx),
        *(Violation("trail", "the trail", what) for what in wrong),
    ]  # fmt: skip


def broken_in_memory(keeper: MemoryKeeper) -> list[Violation]:
    """Check the books of a planning run; they have no chain to verify."""
    found = []
    for name, holding in keeper.holdings.items():
        account = holding.account
        by_leases = sum(lease.hold.mgpu_ms for lease in holding.leases.values())
        held, in_lots = 0, defaultdict[UUID | None, int](int)
        for entry in holding.entries:
            in_lots[entry.lot_id] += entry.posted.mgpu_ms
            held += entry.held.mgpu_ms
        for what, is_right in (
            ("posted", account.posted.mgpu_ms == sum(in_lots.values())),
            ("debt", account.debt.mgpu_ms == -in_lots[None]),
            ("held by leases", account.held.mgpu_ms == by_leases),
            ("held", account.held.mgpu_ms == held),
            ("lots", all(lot.remaining.mgpu_ms == in_lots[lot.id] for lot in account.lots)),
        ):
            if not is_right:
                found.append(Violation("I1", f"account {name}", f"{what} does not add up"))
    return [*found, *_occupied(keeper)]


def _occupied(keeper: MemoryKeeper) -> Iterator[Violation]:
    used: dict[str, int] = defaultdict(int)
    for holding in keeper.holdings.values():
        for lease in holding.leases.values():
            if lease.gpu_uuid is not None:
                used[lease.gpu_uuid] += lease.share_mgpu
    for gpu in keeper.gpus.values():
        if used[gpu.uuid] != gpu.used_mgpu or gpu.used_mgpu > FULL_MGPU:
            what = f"leases take {used[gpu.uuid]}, noted are {gpu.used_mgpu}"
            yield Violation("slots", f"GPU {gpu.uuid}", what)


def _crowded(lab: Lab, ran: Iterable[Ran]) -> Iterator[Violation]:
    shares: dict[str, int] = defaultdict(int)
    for one in ran:
        # One that a listing missed has lost its slot, and is stopped when it is seen again.
        if one.finished_at is None and one.gpu_uuid is not None and not one.was_missed:
            shares[one.gpu_uuid] += lab.flavors[one.flavor].share_mgpu
    for uuid, share in shares.items():
        if share > FULL_MGPU:
            yield Violation("slots", f"GPU {uuid}", f"{share} thousandths of it really run")


def _given_twice(tx: Connection) -> Iterator[Violation]:
    seen: set[tuple[int, datetime]] = set()
    for row in tx.execute(select(lots).where(lots.c.source == "allowance")).mappings():
        key = (row["account_id"], row["starts_at"])
        if key in seen:
            yield Violation("P12", f"account number {key[0]}", f"week of {key[1]} came twice")
        seen.add(key)


def _metered(
    tx: Connection, weights: Mapping[str, Collection[int]], ran: Iterable[Ran], slack: timedelta
) -> Iterator[Violation]:
    """I2: what ran is what was charged; of what vanished, what the books had been shown."""
    charged = _charged_by_ref(tx)
    slack_ms = slack // timedelta(milliseconds=1)
    for one in ran:
        if one.finished_at is None:
            yield Violation("I7", one.ref, "it still runs")
            continue
        most = least = ms_between(one.started_at, one.finished_at)
        if one.has_vanished:
            least = ms_between(one.started_at, one.shown_until or one.started_at)
        is_free = not any(weights[one.flavor])
        charged_ms = 0
        for (start, until), cost in charged[one.ref].items():
            piece_ms = ms_between(start, until)
            charged_ms += piece_ms
            if cost not in [weight * piece_ms for weight in weights[one.flavor]]:
                yield Violation("I2", f"container {one.ref}", f"{cost} for {piece_ms} ms")
        if not is_free and not least - slack_ms <= charged_ms <= most + slack_ms:
            what = f"charged {charged_ms} ms, ran for {most} ms, was shown {least} ms"
            yield Violation("I2", f"container {one.ref}", what)


def _charged_by_ref(tx: Connection) -> dict[str, dict[tuple[datetime, datetime], int]]:
    """Sum what was paid for each charged interval of each container, whatever lots paid it."""
    query = (
        select(leases.c.ref, entries.c.from_at, entries.c.until_at, entries.c.posted)
        .join(leases, leases.c.id == entries.c.lease_id)
        .where(entries.c.kind == "charge")
    )
    found: dict[str, dict[tuple[datetime, datetime], int]] = defaultdict(lambda: defaultdict(int))
    for ref, from_at, until_at, posted in tx.execute(query):
        found[ref][from_at, until_at] -= posted.mgpu_ms
    return found


def _still_open(tx: Connection) -> Iterator[Violation]:
    for row in tx.execute(select(leases).where(leases.c.state != "ended")).mappings():
        yield Violation("I7", f"lease {row['id']}", f"is still {row['state']}")
    lasting = select(attachments).where(attachments.c.ended_at.is_(None))
    for row in tx.execute(lasting).mappings():
        yield Violation("help", f"attachment {row['id']}", f"of {row['ta']} is still open")


def _kept(tx: Connection, acknowledged: Mapping[UUID, Deed]) -> Iterator[Violation]:
    """Check that what the office has said yes to is in the books, as it was asked for."""
    amounts = {row.id: row.amount for row in tx.execute(select(lots.c.id, lots.c.amount))}
    for lot_id, deed in acknowledged.items():
        if amounts.get(lot_id) != deed.gives[lot_id]:
            what = f"{deed.gives[lot_id].text()} were promised, there is {amounts.get(lot_id)}"
            yield Violation("acknowledged", f"{deed.name} {lot_id}", what)


def _answered(tx: Connection) -> Iterator[Violation]:
    """Check that a request for hours has a lot if and only if it was approved."""
    amounts = {lot.id: lot.amount for lot in tx.execute(select(lots.c.id, lots.c.amount))}
    for row in tx.execute(select(hour_requests)).mappings().all():
        given = amounts.get(uuid5(row["id"], "grant"))
        wanted = row["granted"] if row["state"] == "approved" else None
        if given != wanted:
            what = f"it is {row['state']} with {wanted}, the books gave {given}"
            yield Violation("requests", f"request {row['id']}", what)


def _refunded(tx: Connection) -> Iterator[Violation]:
    """Check that nobody got back more than was charged altogether."""
    spent: dict[int, int] = defaultdict(int)
    charges = select(entries.c.account_id, entries.c.posted).where(entries.c.kind == "charge")
    for entry in tx.execute(charges):
        spent[entry.account_id] -= entry.posted.mgpu_ms
    for row in tx.execute(select(lots).where(lots.c.source == "refund")).mappings():
        if row["amount"].mgpu_ms > spent[row["account_id"]]:
            what = f"it gives back {row['amount'].text()}"
            yield Violation("refunds", f"lot {row['id']}", what)
