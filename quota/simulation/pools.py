"""Pools of sections in memory: what `quota.budgets` does with accounts of the store."""

from datetime import datetime
from uuid import UUID, uuid5

from quota.allowances import settle_budget
from quota.amount import GpuTime
from quota.budgets import budget_of
from quota.chain import GENESIS
from quota.clock import to_ms
from quota.entitlement import current_week
from quota.lab import Lab
from quota.lab_people import Section
from quota.ledger import Account, Lot
from quota.simulation.world import HUB_ID

_DRAWS = UUID("7a0f0a5e-8f2c-5a42-9a53-6f0f3f0a7f10")
# Numbers of their own, so that ids of lots never meet those of scholars.
_FIRST_ID = 1_000_000


class Pools:
    """The pool of each section, made on first use."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._pools: dict[str, Account] = {}

    def draw(
        self, account: Account, section: Section | None, available: GpuTime, weight_mgpu: int, *,
        now: datetime,
    ) -> bool:  # fmt: skip
        """Let the section pay a scholar's next hold step; tell whether it was anything."""
        week = current_week(self._lab, section, now)
        if section is None or section.pool is None or week is None or weight_mgpu == 0:
            return False
        policy = self._lab.policy
        step_ms = max(policy.hold_step_s, policy.minimum_start_s) * 1000
        key = uuid5(_DRAWS, f"{account.id}:{to_ms(week.starts_at)}")
        lot = next((one for one in account.lots if one.id == key), None)
        may = section.pool.most_per_scholar - (lot.amount if lot else GpuTime.ZERO)
        pool = self._pool(section, now)
        wanted = GpuTime.of(weight_mgpu, step_ms) - available
        amount = min(wanted, may, pool.available(now))
        if amount <= GpuTime.ZERO:
            return False
        lot = lot or Lot(
            id=key, source="pool", amount=GpuTime.ZERO, remaining=GpuTime.ZERO,
            starts_at=week.starts_at, ends_at=week.ends_at, author="gpulab", reason="",
        )  # fmt: skip
        transfer_id = uuid5(key, f"draw:{pool.seq}")
        pool.give_away(amount, transfer_id, author="gpulab", reason="", at=now)
        account.receive(lot, amount, transfer_id, author="gpulab", reason="", at=now)
        pool.new_entries, pool.new_lots, pool.changed_lots = [], [], {}
        return True

    def _pool(self, section: Section, now: datetime) -> Account:
        pool = self._pools.get(section.name)
        if pool is None:
            number = _FIRST_ID + len(self._pools)
            pool = Account(id=number, hub_id=HUB_ID, kind="pool", name=section.name, head=GENESIS)
            self._pools[section.name] = pool
        hours, week = budget_of(self._lab, "pool", section.name, now)
        settle_budget(pool, hours, week, now=now)
        return pool
