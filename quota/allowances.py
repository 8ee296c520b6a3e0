"""What an account is owed as time passes: each week's allowance once, old lots closed. Pure.

`settle` brings an account up to an instant. It is called first in every use case that touches an
account, so nothing depends on a job that runs on Monday at midnight.
"""

from datetime import datetime
from typing import Literal
from uuid import UUID, uuid5

from quota.amount import GpuTime
from quota.calendar import Week, allowance_of, week_after, week_at
from quota.clock import to_ms
from quota.lab import Lab, Section
from quota.leases import Lease
from quota.ledger import Account, Lot
from quota.posting import post_use

# Lot ids are derived from (account, week), so that an allowance cannot be given twice even if two
# processes settle the same account at the same moment: the second insert is refused.
_LOTS = UUID("6f1d1f6e-4a0c-5f0e-9b39-0c6f2a1b7d11")


def settle(
    account: Account, leases: list[Lease], *, lab: Lab, section: Section | None, now: datetime
) -> list[Lease]:
    """Close ended lots, give this week's allowance, pay debts; return the leases as they are then.

    A lot stays open past its end while a running session of the account has not been observed up
    to that end: what it used before the end must still be drawn from this lot.
    """
    leases = _close_ended_lots(account, leases, now=now)
    week = current_week(lab, section, now)
    if section is not None and week is not None:
        leases = _post_before_cut(account, leases, week, allowance_of(lab, section, week), now=now)
        _give_week(account, lab, section, week, now=now)
    account.repay(at=now)
    return leases


def current_week(lab: Lab, section: Section | None, now: datetime) -> Week | None:
    """Return the week that is running in the section, or None outside the program."""
    return None if section is None else week_at(lab.program, section.zone, now)


def next_allowance(
    lab: Lab, section: Section | None, now: datetime
) -> tuple[datetime, GpuTime] | None:
    """Return when the next week begins and what it will give; None when no week follows."""
    week = current_week(lab, section, now)
    if section is None or week is None:
        return None
    following = week_after(lab.program, section.zone, week)
    if following is None:
        return None
    return following.starts_at, allowance_of(lab, section, following)


def _close_ended_lots(account: Account, leases: list[Lease], *, now: datetime) -> list[Lease]:
    for lot in sorted(account.lots, key=lambda lot: (lot.ends_at, lot.id)):
        if lot.ends_at > now or _known_until(leases, now) < lot.ends_at:
            return leases
        leases = [post_use(account, lease, lot.ends_at, at=now) for lease in leases]
        account.expire(lot, at=now)
    return leases


def _known_until(leases: list[Lease], now: datetime) -> datetime:
    """Return up to when all use is known: a starting or running session may hide some."""
    known = [now]
    for lease in leases:
        if lease.is_running and lease.observed_until is not None:
            known.append(lease.observed_until)
        elif lease.state in ("held", "stopping") and lease.held_at is not None:
            known.append(lease.held_at)
    return min(known)


def _post_before_cut(
    account: Account, leases: list[Lease], week: Week, amount: GpuTime, *, now: datetime
) -> list[Lease]:
    """Post all known use before a lot shrinks: what is used is not taken back, posted or not."""
    is_cut = any(
        lot.source == "allowance" and lot.starts_at == week.starts_at and lot.amount > amount
        and lot.remaining for lot in account.lots
    )  # fmt: skip
    if not is_cut:
        return leases
    return [post_use(account, lease, lease.observed_until or now, at=now) for lease in leases]


def _give_week(account: Account, lab: Lab, section: Section, week: Week, *, now: datetime) -> None:
    amount = allowance_of(lab, section, week)
    if account.allowance_from is None or week.starts_at > account.allowance_from:
        _close_other_weeks(account, week, now=now)
        account.allowance_from = week.starts_at
        # Even of nothing, so that hours which are added during the week have a lot to go to.
        account.give(_week_lot(account, section, week, amount), at=now)
        return
    for lot in account.lots:
        if lot.source == "allowance" and lot.starts_at == week.starts_at:
            account.adjust(
                lot, amount, author="lab.yaml", reason="the week's hours were changed", at=now
            )


def _close_other_weeks(account: Account, week: Week, *, now: datetime) -> None:
    """When the calendar itself was changed, an older week must not be valid beside the new one."""
    for lot in list(account.lots):
        if lot.source == "allowance" and lot.ends_at > week.starts_at:
            account.expire(lot, at=now)


def _week_lot(account: Account, section: Section, week: Week, amount: GpuTime) -> Lot:
    source: Literal["allowance"] = "allowance"
    label = f"week {week.number}" if week.number is not None else "weekly allowance"
    return Lot(
        id=uuid5(_LOTS, f"{account.id}:{to_ms(week.starts_at)}"),
        source=source,
        amount=amount,
        remaining=GpuTime.ZERO,
        starts_at=week.starts_at,
        ends_at=week.ends_at,
        author="lab.yaml",
        reason=f"{label} of section {section.name}",
    )
