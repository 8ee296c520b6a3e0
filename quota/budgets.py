"""Hours that others pay: a section's pool, its help budget, what a TA may give away.

Each is an account of its own with the hours of one week. What it gives becomes a lot of the
scholar's account, under one transfer id on both sides, so that nothing is made or lost on the way.
Lock order: the scholar's account first, then the budget's; nobody locks a scholar while holding a
budget. See docs/decisions/0009-hours-that-others-pay.md.
"""

from datetime import datetime, timedelta
from typing import cast
from uuid import UUID, uuid5

from sqlalchemy import Connection

from quota.agenda import ta_zone
from quota.allowances import settle_budget
from quota.amount import GpuTime
from quota.attachments import Attachment
from quota.calendar import Week, week_at
from quota.clock import ms_between, to_ms
from quota.desk import Desk, funds_of
from quota.entitlement import current_week
from quota.lab import Lab
from quota.lab_people import Section
from quota.leases import Lease
from quota.ledger import Account, AccountKind, Lot, LotSource
from quota.store import reads, writes
from quota.store.papers import papers_of
from quota.store.statements import written_point

ZERO = GpuTime.ZERO
_DRAWS = UUID("4c2a6a52-36e3-5d42-9a53-6f0f3f0a7f10")


def open_budget(
    tx: Connection, lab: Lab, hub_id: str, kind: AccountKind, name: str, *, now: datetime
) -> Account:
    """Lock a budget's account (made on first use) and bring it up to now."""
    papers = papers_of(tx, hub_id, name, kind=kind)
    if papers is None:
        writes.create_account(tx, hub_id, name, kind=kind)
        papers = papers_of(tx, hub_id, name, kind=kind)
    assert papers is not None, "just made"
    budget = papers.account
    hours, week = budget_of(lab, kind, name, now)
    settle_budget(budget, hours, week, now=now)
    return budget


def budget_of(
    lab: Lab, kind: AccountKind, name: str, now: datetime
) -> tuple[GpuTime, Week | None]:
    """Return what the rules give a budget in the week that is running."""
    if kind == "ta":
        return lab.ta_hours(name), week_at(lab.program, ta_zone(lab, name), now)
    section = lab.sections.get(name)
    if section is None:
        return ZERO, None
    hours = section.help_hours_per_week
    if kind == "pool":
        hours = section.pool.hours_per_week if section.pool else ZERO
    return hours, current_week(lab, section, now)


def budget_left(
    tx: Connection, lab: Lab, hub_id: str, kind: AccountKind, name: str, *, now: datetime
) -> GpuTime:
    """Return what is in a budget now; nothing is written."""
    hours, week = budget_of(lab, kind, name, now)
    if week is None:
        return ZERO
    row = reads.account_row(tx, hub_id, name, kind=kind)
    if row is None:
        return hours
    budget = reads.account_of(row, reads.open_lots(tx, [row["id"]])[row["id"]])
    settle_budget(budget, hours, week, now=now)
    return budget.available(now)


# -- the pool --------------------------------------------------------------------------------


def wants_pool(
    account: Account, leases: list[Lease], lab: Lab, section: Section | None, now: datetime
) -> bool:
    """Tell whether a running session is about to end although the section's pool may pay."""
    if section is None or section.pool is None:
        return False
    soon_ms = 2 * lab.policy.tick_s * 1000
    weight = sum(lease.weight_mgpu for lease in leases if lease.state == "active")
    unposted = GpuTime.total(lease.unposted(now) for lease in leases)
    left = account.available(now) + account.held - unposted
    return weight > 0 and left < GpuTime.of(weight, soon_ms)


def draw_from_pool(desk: Desk, weight_mgpu: int, *, least: GpuTime = ZERO) -> bool:
    """Let the section pay the next hold step of a scholar whose own hours do not suffice.

    Nothing is drawn if the scholar would not have `least` with it.
    """
    lab, section, account, now = desk.lab, desk.section, desk.account, desk.now
    week = current_week(lab, section, now)
    if section is None or section.pool is None or week is None or weight_mgpu == 0:
        return False
    step = GpuTime.of(weight_mgpu, max(lab.policy.hold_step_s, lab.policy.minimum_start_s) * 1000)
    lot = _lot_of(account, _pool_lot_id(account, week), "pool", (week.starts_at, week.ends_at),
                  f"from the pool of section {section.name}")  # fmt: skip
    may = section.pool.most_per_scholar - (lot.amount if lot in account.lots else ZERO)
    own = funds_of(desk).available
    wanted = min(step - own, may)
    return wanted > ZERO and _draw(desk, "pool", section.name, lot, wanted, least=least - own)


def pool_room(
    tx: Connection, lab: Lab, section: Section | None, account: Account, now: datetime
) -> GpuTime:
    """Return what a scholar could draw from the section's pool now; nothing is written."""
    left = pool_left(tx, lab, account.hub_id, section, now)
    return pool_share(lab, section, account, left, now)


def pool_left(
    tx: Connection, lab: Lab, hub_id: str, section: Section | None, now: datetime
) -> GpuTime:
    """Return what is in a section's pool now; nothing is written."""
    if section is None or section.pool is None:
        return ZERO
    return budget_left(tx, lab, hub_id, "pool", section.name, now=now)


def pool_share(
    lab: Lab, section: Section | None, account: Account, left: GpuTime, now: datetime
) -> GpuTime:
    """Return how much of what is left in the pool a scholar may draw, if nobody else does."""
    if section is None or section.pool is None:
        return ZERO
    week = current_week(lab, section, now)
    if week is None:
        return ZERO
    lot_id = _pool_lot_id(account, week)
    drawn = GpuTime.total(lot.amount for lot in account.lots if lot.id == lot_id)
    return max(ZERO, min(section.pool.most_per_scholar - drawn, left))


def _pool_lot_id(account: Account, week: Week) -> UUID:
    return uuid5(_DRAWS, f"{account.id}:pool:{to_ms(week.starts_at)}")


# -- help ------------------------------------------------------------------------------------


def wants_help(
    account: Account, leases: list[Lease], attachment: Attachment | None, lab: Lab, now: datetime
) -> bool:
    """Tell whether the help budget has to pay on or to get its rest, or the attachment is over."""
    if any(lot.source == "help" and lot.ends_at <= now for lot in account.lots):
        return True
    if attachment is None:
        return False
    lease = _attached_lease(leases, attachment)
    if lease is None or now >= attachment.until:
        return True
    lot = next((one for one in account.lots if one.id == help_lot_id(attachment)), None)
    left = (lot.remaining if lot else ZERO) - _unposted_help(lease, attachment, now)
    return left < GpuTime.of(lease.weight_mgpu, 2 * lab.policy.tick_s * 1000)


def pay_help(desk: Desk, attachment: Attachment) -> None:
    """Let the section's help budget pay the next hold step while a TA is attached."""
    lease = _attached_lease(desk.leases, attachment)
    if lease is None or lease.weight_mgpu == 0 or desk.section is None:
        return
    span = (attachment.started_at, attachment.until)
    reason = f"help of {attachment.ta}"
    lot = _lot_of(desk.account, help_lot_id(attachment), "help", span, reason)
    step = GpuTime.of(lease.weight_mgpu, desk.lab.policy.hold_step_s * 1000)
    until_ms = max(0, to_ms(attachment.until) - to_ms(desk.now))
    ahead = min(step, GpuTime.of(lease.weight_mgpu, until_ms))
    wanted = ahead + _unposted_help(lease, attachment, desk.now) - lot.remaining
    if wanted > ZERO:
        _draw(desk, "help", desk.section.name, lot, wanted)


def end_help(desk: Desk, attachment: Attachment) -> None:
    """Let help end now; use up to now is still paid by it when the runtime has shown it."""
    lot = next((x for x in desk.account.lots if x.id == help_lot_id(attachment)), None)
    if lot is None or lot.ends_at <= desk.now:
        return
    # A lot has a length, also where help ends in the millisecond in which it began.
    ends_at = max(desk.now, lot.starts_at + timedelta(milliseconds=1))
    desk.account.reschedule(lot, ends_at, reason="help is over", at=desk.now)


def return_help(desk: Desk) -> None:
    """Give back what help set aside and was not used, once all use in its time is posted."""
    for lot in [one for one in desk.account.lots if one.source == "help"]:
        is_known = all(
            lease.charged_until is None or lease.charged_until >= lot.ends_at
            for lease in desk.leases if lease.is_running
        )  # fmt: skip
        if lot.ends_at <= desk.now and is_known:
            if lot.remaining and desk.section is not None:
                _return_to_budget(desk, lot, desk.section.name)
            desk.account.expire(lot, at=desk.now)


def _return_to_budget(desk: Desk, lot: Lot, section_name: str) -> None:
    budget = open_budget(desk.tx, desk.lab, desk.account.hub_id, "help", section_name,
                         now=desk.now)  # fmt: skip
    # Not more than it gave away this week: what an earlier week set aside lapses with that week.
    given = GpuTime.total(
        one.amount - one.remaining for one in budget.lots if one.is_usable(desk.now)
    )
    rest = min(lot.remaining, given)
    if rest > ZERO:
        transfer_id, reason = uuid5(lot.id, "return"), "not needed for help"
        desk.account.hand_back(lot, rest, transfer_id, reason=reason, at=desk.now)
        budget.take_back(rest, transfer_id, reason=reason, at=desk.now)
    writes.save_account(desk.tx, budget)


def _unposted_help(lease: Lease, attachment: Attachment, now: datetime) -> GpuTime:
    """Return what of the use that is not posted yet falls into the time of help."""
    if lease.charged_until is None:
        return ZERO
    since = max(lease.charged_until, attachment.started_at)
    return GpuTime.of(lease.weight_mgpu, max(0, ms_between(since, now)))


def help_lot_id(attachment: Attachment) -> UUID:
    """Return the id of the lot that pays while an attachment lasts."""
    return uuid5(attachment.id, "help")


# -- giving from a budget --------------------------------------------------------------------


def give_from(desk: Desk, kind: AccountKind, budget_name: str, lot: Lot, amount: GpuTime) -> bool:
    """Move an amount from a budget into a lot of the scholar; False when it does not suffice."""
    budget = open_budget(desk.tx, desk.lab, desk.account.hub_id, kind, budget_name, now=desk.now)
    is_enough = budget.available(desk.now) >= amount
    if is_enough:
        _move(desk, budget, lot, amount)
    _save(desk, budget)
    return is_enough


def _draw(
    desk: Desk, kind: AccountKind, name: str, lot: Lot, wanted: GpuTime, *, least: GpuTime = ZERO
) -> bool:
    """Move as much as the budget has, at most what is wanted; tell whether it was anything."""
    budget = open_budget(desk.tx, desk.lab, desk.account.hub_id, kind, name, now=desk.now)
    amount = min(wanted, budget.available(desk.now))
    is_enough = amount > ZERO and amount >= least
    if is_enough:
        _move(desk, budget, lot, amount)
    _save(desk, budget)
    return is_enough


def _save(desk: Desk, budget: Account) -> None:
    """Write the budget's side of a move; the scholar's follows with the desk."""
    writes.save_account(desk.tx, budget)
    written_point(desk.tx, "hours_moved")


def _move(desk: Desk, budget: Account, lot: Lot, amount: GpuTime) -> None:
    transfer_id = uuid5(lot.id, f"draw:{budget.id}:{budget.seq}")
    budget.give_away(amount, transfer_id, author=lot.author, reason=lot.reason, at=desk.now)
    desk.account.receive(
        lot, amount, transfer_id, author=lot.author, reason=lot.reason, at=desk.now
    )


def _lot_of(
    account: Account, lot_id: UUID, source: str, span: tuple[datetime, datetime], reason: str
) -> Lot:
    known = next((one for one in account.lots if one.id == lot_id), None)
    if known is not None:
        return known
    return Lot(id=lot_id, source=cast(LotSource, source), amount=ZERO, remaining=ZERO,
               starts_at=span[0], ends_at=span[1], author="gpulab", reason=reason)  # fmt: skip


def _attached_lease(leases: list[Lease], attachment: Attachment) -> Lease | None:
    return next((one for one in leases if one.id == attachment.lease_id and one.is_running), None)
