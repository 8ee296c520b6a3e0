"""Books in memory and ticks that are left out: both give the same books as the real thing."""

from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from quota.amount import GpuTime
from quota.simulation.keeper import StoreKeeper
from quota.simulation.memory import MemoryKeeper
from quota.simulation.run import Simulation
from quota.store.engine import reading
from quota.store.reads import charged_by_lease
from quota.store.tables import accounts, leases
from tests.simulation.classes import days, in_memory, in_store, small_lab


def charged_in_memory(simulation: Simulation) -> dict[UUID, int]:
    assert isinstance(simulation.keeper, MemoryKeeper)
    found: dict[UUID, int] = {}
    for holding in simulation.keeper.holdings.values():
        for entry in holding.entries:
            if entry.kind == "charge" and entry.lease_id is not None:
                found[entry.lease_id] = found.get(entry.lease_id, 0) - entry.posted.mgpu_ms
    return found


def ends_in_memory(simulation: Simulation) -> dict[UUID, tuple[object, ...]]:
    assert isinstance(simulation.keeper, MemoryKeeper)
    return {key: (one.started_at, one.ended_at, one.end_reason, one.paid_until)
            for key, one in simulation.keeper.ends.items()}  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2])
def test_books_in_memory_are_those_of_the_store(seed: int, tmp_path: Path) -> None:
    lab, span = small_lab(), days("2026-10-26", 4)
    fast = in_memory(lab, span, seed=seed)
    real = in_store(lab, span, tmp_path / "books.sqlite", seed=seed)
    assert isinstance(real.keeper, StoreKeeper)
    with reading(real.keeper.books.engine) as tx:
        rows = tx.execute(select(leases)).mappings().all()
        charged = charged_by_lease(tx, [row["id"] for row in rows])
        posted = {row["name"]: (row["posted"], row["debt"])
                  for row in tx.execute(select(accounts)).mappings()
                  if row["kind"] == "scholar"}  # fmt: skip
    real.keeper.books.engine.dispose()
    assert fast.record.waits == real.record.waits
    assert len(fast.record.waits) > 15
    assert fast.record.run_outs == real.record.run_outs
    started = {row["id"]: (row["started_at"], row["ended_at"], row["end_reason"],
                           row["paid_until"]) for row in rows if row["started_at"]}  # fmt: skip
    mine = {key: one for key, one in ends_in_memory(fast).items() if one[0] is not None}
    assert mine == started
    assert charged_in_memory(fast) == {key: one.mgpu_ms for key, one in charged.items()}
    assert isinstance(fast.keeper, MemoryKeeper)
    books = {name: (one.account.posted, one.account.debt)
             for name, one in fast.keeper.holdings.items()}  # fmt: skip
    assert {name: books[name] for name in posted} == posted


@pytest.mark.parametrize("seed", [3, pytest.param(4, marks=pytest.mark.long)])
def test_ticks_that_are_left_out_change_no_book(seed: int) -> None:
    lab, span = small_lab(), days("2026-10-26", 3)
    seldom = in_memory(lab, span, seed=seed)
    always = in_memory(lab, span, seed=seed, is_planning=False, every_s=15)
    assert always.record.ticks > 20 * seldom.record.ticks
    assert seldom.record.waits == always.record.waits
    assert charged_in_memory(seldom) == charged_in_memory(always)
    assert ends_in_memory(seldom) == ends_in_memory(always)
    assert sum(charged_in_memory(seldom).values()) > GpuTime.hours(2).mgpu_ms
