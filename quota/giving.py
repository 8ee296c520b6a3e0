"""Giving extra hours to one scholar, under the scholar's lock."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import RowMapping

from quota.amount import GpuTime
from quota.audit import By
from quota.budgets import give_from, open_budget
from quota.desk import Desk, funds_of
from quota.errors import BadAmount, BudgetSpent, GrantConflict, NoSuchAccount
from quota.ledger import Lot, LotSource
from quota.news import grant_news
from quota.outbox import tell
from quota.plain_text import check_text
from quota.store import reads
from quota.store.trail import write_audit

# A grant without an end is good for this long when no week is running to end with.
_GRANT_LASTS = timedelta(days=7)

# Longer than any program; a later end is a typing error.
_MOST_AHEAD = timedelta(days=3660)


def give(
    desk: Desk, grant_id: UUID, amount: GpuTime, *, by: By, reason: str,
    until: datetime | None = None, source: LotSource = "grant", is_told: bool = True,
) -> RowMapping:  # fmt: skip
    """Give extra GPU time, until the end of the week if no end is named; safe to repeat.

    The scholar is told, unless the caller tells it (`is_told`).

    Raises:
        GrantConflict: the id was used for another grant.
        BadAmount: nothing, less than nothing, or an end that is not after now.
        BudgetSpent: a TA's hours of this week do not suffice.

    """
    check_grant(amount, reason)
    earlier = reads.lot_by_id(desk.tx, grant_id)
    if earlier is not None:
        _check_same(desk, earlier, amount, reason, until)
        return earlier
    lot = Lot(id=grant_id, source=source, amount=amount, remaining=GpuTime.ZERO,
              starts_at=desk.now, ends_at=_end(desk, until), author=by.actor,
              reason=reason)  # fmt: skip
    before = desk.account.available(desk.now)
    if source == "ta_grant":
        _give_as_ta(desk, lot, amount, by)
    else:
        desk.account.give(lot, at=desk.now)
    desk.save()
    write_audit(
        desk.tx, by, "grant", desk.account.name, hub_id=desk.account.hub_id, at=desk.now,
        reason=reason, before={"available": before.text()},
        after={"id": grant_id, "hours": amount.text(), "until": lot.ends_at, "source": source,
               "available": desk.account.available(desk.now).text()},
    )  # fmt: skip
    if is_told:
        news = grant_news(desk.account.name, lot, desk.section)
        tell(desk.tx, desk.lab, desk.account.hub_id, [news])
    row = reads.lot_by_id(desk.tx, grant_id)
    assert row is not None, "just written"
    return row


def check_grant(amount: GpuTime, reason: str) -> None:
    """Check what can be checked without the books.

    Raises:
        BadAmount: nothing, less than nothing, or no reason.
        BadText: the reason is not one line of plain text.

    """
    if amount <= GpuTime.ZERO:
        raise BadAmount("A grant has to be more than 0 GPU-hours.")
    if not reason.strip():
        raise BadAmount("A grant needs a reason; the scholar will see it.")
    check_text(reason, "The reason")


def _give_as_ta(desk: Desk, lot: Lot, amount: GpuTime, by: By) -> None:
    if desk.section is None or by.actor not in desk.section.tas:
        raise NoSuchAccount("You support no scholar of this name.")
    if give_from(desk, "ta", by.actor, lot, amount):
        desk.account.repay(at=desk.now)
        return
    budget = open_budget(desk.tx, desk.lab, desk.account.hub_id, "ta", by.actor, now=desk.now)
    left = budget.available(desk.now)
    ends = max((one.ends_at for one in budget.lots), default=None)
    raise BudgetSpent(
        f"You can give {left.hours_text()} more GPU-hours this week. Ask an organizer for more.",
        retry_at=ends,
    )


def _check_same(
    desk: Desk, earlier: RowMapping, amount: GpuTime, reason: str, until: datetime | None
) -> None:
    same = (earlier["account_id"], earlier["amount"], earlier["reason"]) == (
        desk.account.id, amount, reason)  # fmt: skip
    if not same or (until is not None and until != earlier["ends_at"]):
        raise GrantConflict("This grant id was used before for another grant.")


def _end(desk: Desk, until: datetime | None) -> datetime:
    if until is None:
        week = funds_of(desk).week
        return week.ends_at if week is not None else desk.now + _GRANT_LASTS
    if until <= desk.now:
        raise BadAmount("The end of a grant has to be in the future.")
    if until > desk.now + _MOST_AHEAD:
        raise BadAmount("The end of a grant has to be within ten years.")
    return until
