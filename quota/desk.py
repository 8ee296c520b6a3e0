"""An account under lock, brought up to now, with all that a decision about it needs."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from quota.admission import Funds
from quota.allowances import boost_ids, settle
from quota.amount import GpuTime
from quota.endings import closed_now
from quota.entitlement import current_week, next_allowance
from quota.lab import Lab
from quota.lab_people import Section
from quota.leases import Lease
from quota.ledger import Account
from quota.store import reads, writes


@dataclass(slots=True, kw_only=True)
class Desk:
    """An account under lock with all that a decision about it needs."""

    tx: Connection
    lab: Lab
    section: Section | None
    account: Account
    leases: list[Lease]
    now: datetime

    def save(self) -> None:
        """Write the account."""
        writes.save_account(self.tx, self.account)

    def replace_leases(self, after: list[Lease]) -> None:
        """Write what was done to the leases, in their order."""
        for old, new in zip(self.leases, after, strict=True):
            writes.update_lease(self.tx, old, new)
        self.leases = after


def open_desk(tx: Connection, lab: Lab, hub_id: str, name: str, *, now: datetime) -> Desk:
    """Lock a scholar's account (made on first use) and bring it up to now."""
    row = reads.account_row(tx, hub_id, name, lock=True)
    if row is None:
        writes.create_account(tx, hub_id, name)
        row = reads.account_row(tx, hub_id, name, lock=True)
    assert row is not None, "just made"
    account = reads.account_of(row, reads.open_lots(tx, [row["id"]])[row["id"]])
    before = reads.open_leases(tx, account.id)
    section = lab.section_of(name)
    given = reads.existing_lots(tx, boost_ids(account.id, lab, section, name, now))
    after = settle(account, before, lab=lab, section=section, now=now, given=given)
    desk = Desk(tx=tx, lab=lab, section=section, account=account, leases=before, now=now)
    desk.replace_leases(after)
    # At once: what the leases say is charged must be in the ledger however the use case goes on.
    desk.save()
    return desk


def funds_of(desk: Desk) -> Funds:
    """Sum up what the account can pay with."""
    return funds(desk.account, desk.leases, lab=desk.lab, section=desk.section, now=desk.now)


def funds(
    account: Account, leases: Iterable[Lease], *, lab: Lab, section: Section | None, now: datetime
) -> Funds:
    """Sum up what an account can pay with; use beyond a hold counts before it is posted."""
    leases = list(leases)
    beyond = GpuTime.total(max(lease.unposted(now) - lease.hold, GpuTime.ZERO) for lease in leases)
    return Funds(
        available=account.available(now) - beyond,
        on_roster=section is not None,
        week=current_week(lab, section, now),
        next_week=next_allowance(lab, section, account.name, now),
        debt=account.debt,
        open_gpu_sessions=sum(1 for lease in leases if lease.share_mgpu > 0),
        most_gpu_sessions=lab.sessions_of(account.name),
        closed=closed_now(lab, now),
    )
