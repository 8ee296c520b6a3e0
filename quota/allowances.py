"""What an account is owed as time passes: each week's allowance once, old lots closed. Pure.

`settle` brings an account up to an instant. It is called first in every use case that touches an
account, so nothing depends on a job that runs on Monday at midnight.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from functools import lru_cache
from typing import cast
from uuid import UUID, uuid5

from quota.agenda import Due
from quota.amount import GpuTime
from quota.calendar import Week, same_week, week_after, weeks_of
from quota.clock import to_ms
from quota.entitlement import boosts_at, boosts_of, current_week, entitlement, keeps_hours, kept_of
from quota.lab import Lab
from quota.lab_people import Section
from quota.leases import Lease
from quota.ledger import Account, Lot, LotSource
from quota.posting import post_use

# Lot ids are derived from (account, week), so that an allowance cannot be given twice even if two
# processes settle the same account at the same moment: the second insert is refused.
_LOTS = UUID("6f1d1f6e-4a0c-5f0e-9b39-0c6f2a1b7d11")

# A program has at most this many weeks, so catching up ends.
_MOST_WEEKS = 520


def settle(
    account: Account,
    leases: list[Lease],
    *,
    lab: Lab,
    section: Section | None,
    now: datetime,
    given: Collection[UUID] = (),
) -> list[Lease]:
    """Close ended lots, give what is owed by now, pay debts; return the leases as they are then.

    A lot stays open past its end while a running session of the account has not been observed up
    to that end: what it used before the end must still be drawn from this lot. `given` are ids
    out of `boost_ids` whose lots have been closed already.
    """
    coming = _coming_boosts(account, lab, section, now)
    # Before anything is closed: a due date may have been put off meanwhile.
    leases = _follow_due_dates(account, leases, coming, now=now)
    if section is not None:
        _follow_zone(account, lab, section, now=now)
    leases = _close_ended_lots(account, leases, lab=lab, section=section, now=now)
    if section is not None:
        leases = _give_weeks(account, leases, lab=lab, section=section, now=now)
        _give_boosts(account, coming, given, now=now)
    account.repay(at=now)
    return leases


def settle_budget(account: Account, hours: GpuTime, week: Week | None, *, now: datetime) -> None:
    """Bring a pool or budget up to now: it has its hours of this week, and no others."""
    for lot in list(account.lots):
        if lot.ends_at <= now:
            account.expire(lot, at=now)
    if week is not None:
        _give_or_adjust(account, week, hours, f"{account.kind} of {account.name}", now=now,
                        begins=week.starts_at.__eq__)  # fmt: skip


def boost_ids(account_id: int, lab: Lab, section: Section | None, scholar: str, now: datetime) -> (
    list[UUID]
):  # fmt: skip
    """Return the ids of the boosts that an account should have had by now and can still use."""
    if section is None or not lab.due_dates:
        return []
    return [_boost_id(account_id, due) for due in boosts_at(lab, section, scholar, now)]


# -- closing --------------------------------------------------------------------------------


def _close_ended_lots(
    account: Account, leases: list[Lease], *, lab: Lab, section: Section | None, now: datetime
) -> list[Lease]:
    for lot in sorted(account.lots, key=lambda lot: (lot.ends_at, lot.id)):
        if lot.ends_at > now or _known_until(leases, now) < lot.ends_at:
            return leases
        leases = [post_use(account, lease, lot.ends_at, at=now) for lease in leases]
        if lot.source == "help":
            continue  # what was not needed goes back: `quota.budgets.return_help`
        unused = lot.remaining
        account.expire(lot, at=now)
        if section is not None and lot.source == "allowance":
            _keep(account, lot, unused, lab, section, now=now)
    return leases


def _keep(
    account: Account, ended: Lot, unused: GpuTime, lab: Lab, section: Section, *, now: datetime
) -> None:
    """Give again what the rules let a scholar keep of an ended week."""
    week = same_week(lab.program, section.zone, ended.starts_at)
    if week is None or not keeps_hours(lab, account.name):
        return
    for kept in kept_of(lab, section, account.name, week, unused):
        # One that is over by now can still pay the debt of its time.
        if kept.ends_at > now or account.debt:
            account.give(Lot(
                id=uuid5(_LOTS, f"{account.id}:{kept.key}"),
                source=cast(LotSource, kept.source), amount=kept.hours, remaining=GpuTime.ZERO,
                starts_at=kept.starts_at, ends_at=kept.ends_at, author="lab.yaml",
                reason=kept.because,
            ), at=now)  # fmt: skip


def _known_until(leases: list[Lease], now: datetime) -> datetime:
    """Return up to when all use is known: a starting or running session may hide some."""
    known = [now]
    for lease in leases:
        if lease.is_running and lease.observed_until is not None:
            known.append(lease.observed_until)
        elif lease.state in ("held", "stopping") and lease.held_at is not None:
            known.append(lease.held_at)
    return min(known)


# -- weeks ----------------------------------------------------------------------------------


def _give_weeks(
    account: Account, leases: list[Lease], *, lab: Lab, section: Section, now: datetime
) -> list[Lease]:
    """Give each week that has begun since the last one; only the present one if none is kept."""
    week = current_week(lab, section, now)
    for _ in range(_MOST_WEEKS):
        owed = _next_owed(account, lab, section, now)
        if owed is None or (week is not None and owed.starts_at >= week.starts_at):
            break
        _give_week(account, lab, section, owed, now=now)
        account.repay(at=now, usable_at=owed.starts_at)
        leases = _close_ended_lots(account, leases, lab=lab, section=section, now=now)
    if week is not None:
        leases = _post_before_cut(account, leases, lab, section, week, now=now)
        _give_week(account, lab, section, week, now=now)
    return leases


def _post_before_cut(
    account: Account, leases: list[Lease], lab: Lab, section: Section, week: Week, *, now: datetime
) -> list[Lease]:
    """Post all known use before a lot shrinks: what is used is not taken back, posted or not."""
    hours = entitlement(lab, section, account.name, week).hours
    is_cut = any(
        lot.source == "allowance" and lot.remaining and lot.amount > hours
        and same_week(lab.program, section.zone, lot.starts_at) == week
        for lot in account.lots
    )  # fmt: skip
    if not is_cut:
        return leases
    return [post_use(account, lease, lease.observed_until or now, at=now) for lease in leases]


def _next_owed(account: Account, lab: Lab, section: Section, now: datetime) -> Week | None:
    """Return the oldest week that was never given, where what it gave may count today."""
    if not keeps_hours(lab, account.name) and not account.debt:
        return None
    if account.allowance_from is None:
        weeks = weeks_of(lab.program, section.zone) if lab.program else ()
        start = next(iter(weeks), None)
    else:
        last = same_week(lab.program, section.zone, account.allowance_from)
        start = week_after(lab.program, section.zone, last) if last else None
    return start if start is not None and start.ends_at <= now else None


def _give_week(account: Account, lab: Lab, section: Section, week: Week, *, now: datetime) -> None:
    owed = entitlement(lab, section, account.name, week)

    def begins(at: datetime) -> bool:
        return same_week(lab.program, section.zone, at) == week

    _give_or_adjust(account, week, owed.hours, owed.because, now=now, begins=begins)


def _give_or_adjust(
    account: Account, week: Week, hours: GpuTime, because: str, *, now: datetime,
    begins: Callable[[datetime], bool],
) -> None:  # fmt: skip
    """Give a week once, and let it be as the rules are now; `begins` knows its begin anywhere."""
    last = account.allowance_from
    if last is None or (week.starts_at > last and not begins(last)):
        _close_other_weeks(account, week, now=now)
        account.allowance_from = week.starts_at
        if hours:
            account.give(_week_lot(account, week, hours, because), at=now)
        return
    for lot in account.lots:
        if lot.source == "allowance" and begins(lot.starts_at):
            reason = f"changed: {because}"
            account.adjust(lot, hours, author="lab.yaml", reason=reason, at=now)
            return
    if hours and begins(last):
        # The week gave nothing when it began, and was given hours since.
        account.give(_week_lot(account, week, hours, because), at=now)


def _follow_zone(account: Account, lab: Lab, section: Section, *, now: datetime) -> None:
    """Let the running week of a scholar who has moved end when it ends in the new section."""
    for lot in account.lots:
        if lot.source != "allowance":
            continue
        week = same_week(lab.program, section.zone, lot.starts_at)
        # No sooner than now: what was used up to now is paid from here.
        if week is not None and week.ends_at != lot.ends_at and week.ends_at > now:
            reason = f"the week as it is in section {section.name}"
            account.reschedule(lot, week.ends_at, reason=reason, at=now)


def _close_other_weeks(account: Account, week: Week, *, now: datetime) -> None:
    """When the calendar itself was changed, an older week must not be valid beside the new one."""
    for lot in list(account.lots):
        if lot.source == "allowance" and lot.ends_at > week.starts_at:
            account.expire(lot, at=now)


def _week_lot(account: Account, week: Week, hours: GpuTime, because: str) -> Lot:
    return Lot(
        id=uuid5(_LOTS, f"{account.id}:{to_ms(week.starts_at)}"),
        source="allowance", amount=hours, remaining=GpuTime.ZERO, starts_at=week.starts_at,
        ends_at=week.ends_at, author="lab.yaml", reason=because,
    )  # fmt: skip


# -- boosts ---------------------------------------------------------------------------------


def _coming_boosts(
    account: Account, lab: Lab, section: Section | None, now: datetime
) -> dict[UUID, Due]:
    """Return by the lots' ids what is not due yet and gives extra hours some time."""
    if section is None or not lab.due_dates:
        return {}
    return {
        _boost_id(account.id, due): due
        for due in boosts_of(lab, section, account.name)
        if due.due_at > now
    }


def _follow_due_dates(
    account: Account, leases: list[Lease], coming: Mapping[UUID, Due], *, now: datetime
) -> list[Lease]:
    """Change the boosts whose due dates were moved, changed or taken away."""
    for lot in [lot for lot in account.lots if lot.source == "boost"]:
        due = coming.get(lot.id)
        # One that is over in its time stays until all use before its end is known.
        if due is not None or lot.ends_at > now:
            leases = _follow(account, leases, lot, due, now=now)
    return leases


def _give_boosts(
    account: Account, coming: Mapping[UUID, Due], given: Collection[UUID], *, now: datetime
) -> None:
    """Give the extra hours before what is due, once."""
    known = {lot.id for lot in account.lots} | set(given)
    for lot_id, due in coming.items():
        if due.hours_from <= now and lot_id not in known:
            account.give(Lot(
                id=lot_id, source="boost", amount=due.hours, remaining=GpuTime.ZERO,
                starts_at=due.hours_from, ends_at=due.due_at, author="lab.yaml",
                reason=f"extra hours for {due.title}",
            ), at=now)  # fmt: skip


def _follow(
    account: Account, leases: list[Lease], lot: Lot, due: Due | None, *, now: datetime
) -> list[Lease]:
    """Let a boost be as its due date is now; before the new window begins it holds nothing."""
    hours = due.hours if due is not None and due.hours_from <= now else GpuTime.ZERO
    if hours < lot.amount and lot.remaining:
        # What is used is not taken back, posted or not.
        leases = [
            post_use(account, lease, lease.observed_until or now, at=now) for lease in leases
        ]
    account.adjust(lot, hours, author="lab.yaml", reason=lot.reason, at=now)
    if due is not None and due.due_at > lot.starts_at:
        reason = f"{due.title}: due at another time"
        account.reschedule(lot, due.due_at, reason=reason, at=now)
    return leases


def _boost_id(account_id: int, due: Due) -> UUID:
    return _id_of_boost(account_id, due.name)


@lru_cache(maxsize=65_536)
def _id_of_boost(account_id: int, name: str) -> UUID:
    # Asked for whenever an account is settled; hashing was a tenth of that.
    return uuid5(_LOTS, f"{account_id}:boost:{name}")
