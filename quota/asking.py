"""A scholar asks for hours; somebody answers. Under the scholar's lock."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid5

from quota.amount import GpuTime
from quota.audit import By
from quota.desk import Desk
from quota.errors import AlreadyDecided, BadAmount, IdConflict, NoSuchThing
from quota.giving import give
from quota.hour_requests import HourRequest, decided
from quota.ledger import LotSource
from quota.news import decision_news, request_news
from quota.outbox import tell
from quota.plain_text import check_text
from quota.store import office
from quota.store.trail import write_audit

_MOST_OPEN = 3
_MOST_HOURS = GpuTime.hours(1_000)


def ask(desk: Desk, request_id: UUID, hours: GpuTime, reason: str) -> HourRequest:
    """Ask for extra hours; repeating it changes nothing.

    Raises:
        BadAmount: nothing, too much, no reason, or too many requests are open already.
        IdConflict: the id was used for another request.

    """
    earlier = office.hour_request(desk.tx, request_id)
    if earlier is not None:
        if (earlier.account_id, earlier.hours, earlier.reason) != (
            desk.account.id, hours, reason):  # fmt: skip
            raise IdConflict("This id was used before for another request.")
        return earlier.as_of(desk.now)
    _check(desk, hours, reason)
    lasts = timedelta(days=desk.lab.policy.request_lasts_days)
    request = HourRequest(id=request_id, account_id=desk.account.id, hours=hours, reason=reason,
                          state="open", asked_at=desk.now, stale_at=desk.now + lasts)  # fmt: skip
    desk.save()
    office.insert_hour_request(desk.tx, request)
    news = request_news(desk.account.name, request, desk.lab)
    tell(desk.tx, desk.lab, desk.account.hub_id, news)
    return request


def answer(
    desk: Desk, request_id: UUID, granted: GpuTime | None, *, by: By, text: str,
    source: LotSource = "request",
) -> HourRequest:  # fmt: skip
    """Approve (all or a part) or deny; an approval gives the hours in the same transaction.

    With the source `ta_grant` they come out of the TA's budget of the week.

    Raises:
        NoSuchThing: there is no such request.
        AlreadyDecided: it was answered before, otherwise than now, or nobody answered in time.
        BadAmount: a denial without a text, or hours that cannot be given.
        BudgetSpent: a TA's hours of this week do not suffice.

    """
    request = _open_request(desk, request_id, granted, by)
    if not isinstance(request, HourRequest):
        return request[0]
    if granted is None and not text.strip():
        raise BadAmount("A denial needs a sentence; the scholar will see it.")
    check_text(text, "The answer")
    if granted is not None:
        reason = f"your request: {request.reason}"[:500]
        give(desk, uuid5(request.id, "grant"), granted, by=by, reason=reason, source=source,
             is_told=False)  # fmt: skip
    after = decided(request, granted, by=by.actor, answer=text, at=desk.now)
    news = decision_news(desk.account.name, after, desk.now)
    tell(desk.tx, desk.lab, desk.account.hub_id, [news])
    return _write(desk, request, after, by, "request.answer")


def withdraw(desk: Desk, request_id: UUID, *, by: By) -> HourRequest:
    """Take a request back, by the one who asked."""
    request = office.hour_request(desk.tx, request_id, lock=True)
    if request is None or request.account_id != desk.account.id:
        raise NoSuchThing("There is no such request.")
    if request.state == "withdrawn":
        return request
    if request.as_of(desk.now).state != "open":
        raise AlreadyDecided("This request was answered already.")
    after = _closed(desk, request, by)
    return _write(desk, request, after, by, "request.withdraw")


def _check(desk: Desk, hours: GpuTime, reason: str) -> None:
    if not GpuTime.ZERO < hours <= _MOST_HOURS:
        raise BadAmount("Ask for more than 0 and at most 1000 GPU-hours.")
    if not reason.strip():
        raise BadAmount("A request needs a reason, so that somebody can decide.")
    check_text(reason, "The reason")
    mine = office.hour_requests_of(
        desk.tx, desk.account.hub_id, account=desk.account.name, state="open"
    )
    if sum(one.as_of(desk.now).state == "open" for _, one in mine) >= _MOST_OPEN:
        raise BadAmount(f"You have {_MOST_OPEN} open requests already; wait for an answer.")


def _open_request(
    desk: Desk, request_id: UUID, granted: GpuTime | None, by: By
) -> HourRequest | tuple[HourRequest]:
    """Return the open request, or in a tuple the one that was answered just so before."""
    request = office.hour_request(desk.tx, request_id, lock=True)
    if request is None or request.account_id != desk.account.id:
        raise NoSuchThing("There is no such request.")
    now = request.as_of(desk.now)
    if now.state == "open":
        return request
    is_same = (request.decided_by, request.granted) == (by.actor, granted)
    if is_same and request.state in ("approved", "denied"):
        return (request,)
    raise AlreadyDecided(f"This request is {now.state} already.")


def _closed(desk: Desk, request: HourRequest, by: By) -> HourRequest:
    return replace(request, state="withdrawn", decided_at=desk.now, decided_by=by.actor)


def _write(
    desk: Desk, before: HourRequest, after: HourRequest, by: By, action: str
) -> HourRequest:
    desk.save()
    office.update_hour_request(desk.tx, after)
    write_audit(
        desk.tx, by, action, desk.account.name, hub_id=desk.account.hub_id, at=desk.now,
        reason=after.answer,
        before={"state": before.state, "hours": before.hours.text()},
        after={"state": after.state, "granted": after.granted.text() if after.granted else None},
    )  # fmt: skip
    return after
