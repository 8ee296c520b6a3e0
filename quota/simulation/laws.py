"""What must hold after every step of a simulation: of the books, and against what really ran."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, select

from quota.amount import GpuTime
from quota.clock import ms_between
from quota.invariants import Violation, check_books
from quota.lab import Lab
from quota.placement import FULL_MGPU
from quota.simulation.memory import MemoryKeeper
from quota.simulation.world import Ran
from quota.store.reads import charged_by_lease
from quota.store.tables import leases, lots

ZERO = GpuTime.ZERO


def broken_now(tx: Connection, lab: Lab, ran: Iterable[Ran]) -> list[Violation]:
    """Check the books, that no GPU really runs more than it is, and that weeks come once."""
    return [*check_books(tx), *_crowded(lab, ran), *_given_twice(tx)]


def broken_at_end(
    tx: Connection, lab: Lab, ran: Iterable[Ran], *, slack: timedelta
) -> list[Violation]:
    """Check what was charged against what ran, and that nothing is left open."""
    found = list(_metered(tx, lab, ran, slack))
    query = select(leases).where(leases.c.state != "ended")
    found += [Violation("I7", f"lease {row['id']}", f"is still {row['state']}")
              for row in tx.execute(query).mappings()]  # fmt: skip
    return found


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
        if one.finished_at is None and one.gpu_uuid is not None:
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
    tx: Connection, lab: Lab, ran: Iterable[Ran], slack: timedelta
) -> Iterator[Violation]:
    by_ref: dict[str | None, list[UUID]] = defaultdict(list)
    rows = tx.execute(select(leases.c.id, leases.c.ref)).all()
    charged = charged_by_lease(tx, [row.id for row in rows])
    for row in rows:
        by_ref[row.ref].append(row.id)
    for one in ran:
        weight = lab.flavors[one.flavor].weight_mgpu
        if one.finished_at is None:
            yield Violation("I7", one.ref, "it still runs")
            continue
        ran_ms = ms_between(one.started_at, one.finished_at)
        paid = GpuTime.total(charged.get(key, ZERO) for key in by_ref[one.ref])
        off = abs(paid.mgpu_ms - weight * ran_ms)
        if off > weight * (slack // timedelta(milliseconds=1)):
            what = f"charged {paid.mgpu_ms}, ran for {weight * ran_ms}"
            yield Violation("I2", f"container {one.ref}", what)
