"""One scholar's books in memory."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from quota.amount import GpuTime
from quota.fair_share import part_used, place_in, week_starts
from quota.lab import Lab
from quota.lab_people import Section
from quota.leases import Lease
from quota.ledger import Account, Entry, Lot


@dataclass(slots=True)
class Holding:
    """One scholar's account, open leases, and all lots and entries there ever were."""

    account: Account
    section: Section | None
    leases: dict[UUID, Lease] = field(default_factory=dict)
    lots: dict[UUID, Lot] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)

    def note(self) -> None:
        """Take over what was written since the last time."""
        self.lots |= {lot.id: lot for lot in self.account.new_lots}
        self.entries += self.account.new_entries
        self.account.new_lots, self.account.new_entries = [], []
        self.account.changed_lots = {}

    def with_use(self, lease: Lease, lab: Lab, now: datetime) -> Lease:
        """Note with a request what part of the GPU-hours is used, as `quota.turns` does."""
        if lease.used_permille is not None:
            return lease
        starts = week_starts(lab, self.section, now)
        used = [GpuTime.ZERO] * len(starts)
        # From the newest back: what lies before the weeks that count is never looked at.
        for entry in reversed(self.entries):
            if entry.at < starts[-1]:
                break
            place = None if entry.from_at is None else place_in(starts, entry.from_at)
            if entry.kind == "charge" and place is not None:
                used[place] -= entry.posted
        used[0] += GpuTime.total(one.unposted(now) for one in self.leases.values())
        part = part_used(lab, self.section, self.account.name, starts=starts, used=used,
                         lots=self.lots.values())  # fmt: skip
        return replace(lease, used_permille=part)
