"""What happened in the books, as news for people. Pure."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from uuid import UUID

from quota.amount import GpuTime
from quota.attachments import Attachment
from quota.bulk import BulkPlan
from quota.calendar import Week
from quota.clock import to_ms
from quota.entitlement import current_week, entitlement
from quota.hour_requests import HourRequest
from quota.lab import Lab
from quota.lab_people import Section
from quota.leases import Lease, end_text
from quota.ledger import Account, Lot
from quota.reconcile import Advance, Notice
from quota.telling import News, NoticeKind
from quota.views import GrantView
from quota.wording import WAIT_TEXTS

# Of the warnings, those that somebody who reads them elsewhere can still act on.
_LEAST_MIN, _MOST_MIN = 2, 15
_HALF, _MOST = 50, 80
# What others pay is not what somebody was given.
_OTHERS = frozenset({"pool", "help"})
_KINDS_OF_NOTICES: dict[str, NoticeKind] = {
    "warning": "minutes_left", "stopped": "stopped", "idle": "idle_warning",
}  # fmt: skip


def news_of_advance(account: Account, ahead: Advance, lab: Lab, now: datetime) -> list[News]:
    """Tell what a tick brought to an account; asked before the account is saved."""
    if not lab.channels:
        return []
    found = [*news_of_notices(account.name, ahead.notices, lab)]
    if any(entry.kind == "charge" for entry in account.new_entries):
        found += used_news(account, lab, now)
    return found


def news_of_notices(person: str, notices: Iterable[Notice], lab: Lab) -> Iterator[News]:
    """Tell what the lab shows a scholar, where it matters outside, too."""
    for one in notices:
        lasts = None
        if one.kind == "warning":
            if one.minutes is None or not _LEAST_MIN <= one.minutes <= _MOST_MIN:
                continue
            lasts = timedelta(minutes=one.minutes)
        elif one.kind == "idle":
            lasts = timedelta(minutes=lab.idle.warn_min)
        kind = _KINDS_OF_NOTICES[one.kind]
        yield News(kind=kind, person=person, occasion=f"{kind}:{one.lease_id}:{to_ms(one.at)}",
                   text=one.text, at=one.at, lasts=lasts)  # fmt: skip


def used_news(account: Account, lab: Lab, now: datetime) -> list[News]:
    """Tell how much of a week's hours is used, once it is half or most of them."""
    week = current_week(lab, lab.section_of(account.name), now)
    own = [lot for lot in account.lots if lot.is_usable(now) and lot.source not in _OTHERS]
    given = GpuTime.total(lot.amount for lot in own)
    if week is None or given <= GpuTime.ZERO:
        return []
    left = GpuTime.total(lot.remaining for lot in own) - account.debt
    used = (given - left).mgpu_ms * 100 // given.mgpu_ms
    if used < _HALF:
        return []
    kind: NoticeKind = "most_used" if used >= _MOST else "half_used"
    text = f"{used} % of this week's GPU-hours are used; {left.hours_text()} are left."
    return [News(kind=kind, person=account.name, text=text, at=now,
                 occasion=f"{kind}:{account.id}:{to_ms(week.starts_at)}")]  # fmt: skip


def turn_news(person: str, lease: Lease, lab: Lab, now: datetime) -> News:
    """Tell somebody who is away that a place is kept."""
    return News(kind="your_turn", person=person, occasion=f"your_turn:{lease.id}:{to_ms(now)}",
                text=WAIT_TEXTS["not_there"], at=now,
                lasts=timedelta(seconds=lab.policy.offer_s))  # fmt: skip


def stopped_by_organizer(person: str, lease: Lease, now: datetime) -> News:
    """Tell a scholar whose session an organizer has stopped."""
    return News(kind="stopped", person=person, occasion=f"stopped:{lease.id}",
                text=f"{end_text('organizer')} Your files are kept.", at=now)  # fmt: skip


def grant_news(person: str, lot: Lot | GrantView, section: Section | None) -> News:
    """Tell a scholar of hours that somebody gave."""
    until = lot.ends_at if section is None else lot.ends_at.astimezone(section.zone)
    text = (f"{lot.author} gave {lot.amount.hours_text()} GPU-hours: {lot.reason}. They can be "
            f"used until {until:%A, %d %B, %H:%M} ({until:%Z}).")  # fmt: skip
    return News(kind="grant_given", person=person, occasion=f"grant_given:{lot.id}", text=text,
                at=lot.starts_at)  # fmt: skip


def request_news(person: str, request: HourRequest, lab: Lab) -> list[News]:
    """Tell organizers that somebody asks for hours."""
    text = f"{person} asks for {request.hours.hours_text()} GPU-hours: {request.reason}"
    return to_organizers(lab, "hours_request", str(request.id), text, request.asked_at)


def decision_news(person: str, request: HourRequest, now: datetime) -> News:
    """Tell a scholar what became of a request for hours."""
    if request.granted is None:
        text = f"{request.decided_by} could not give what you asked for: {request.answer}"
    else:
        text = f"{request.decided_by} gave {request.granted.hours_text()} GPU-hours."
        text += f" {request.answer}" if request.answer else ""
    return News(kind="request_decided", person=person, text=text, at=now,
                occasion=f"request_decided:{request.id}")  # fmt: skip


def reservation_news(
    person: str, reservation_id: UUID, text: str, now: datetime, *, begins: bool
) -> News:
    """Tell a scholar that a reserved time begins, or that it was given back."""
    kind: NoticeKind = "reservation_begins" if begins else "reservation_over"
    return News(kind=kind, person=person, occasion=f"{kind}:{reservation_id}", text=text, at=now)


def bulk_news(lab: Lab, plan: BulkPlan, actor: str, now: datetime) -> list[News]:
    """Tell organizers that many grants were given."""
    text = f"{actor} gave {len(plan.grants)} grants, {plan.total.hours_text()} GPU-hours in all."
    return to_organizers(lab, "bulk_result", str(plan.id), text, now)


def attach_news(person: str, one: Attachment, now: datetime) -> News:
    """Tell a scholar that a TA is attached to the session, or no longer."""
    kind: NoticeKind = "attached" if one.is_open else "detached"
    text = f"{one.ta} is no longer attached to your session."
    if one.is_open:
        doing = "watches" if one.mode == "observe" else "can edit in"
        text = f"{one.ta} {doing} your session: {one.reason}. You can end that at any time."
    return News(kind=kind, person=person, occasion=f"{kind}:{one.id}", text=text, at=now)


def week_news(person: str, section: Section, week: Week, lab: Lab) -> News:
    """Tell a scholar that a new week has begun, and what it gives."""
    hours = entitlement(lab, section, person, week).hours.hours_text()
    topic = f" ({week.topic})" if week.topic else ""
    return News(kind="week_reset", person=person, at=week.starts_at,
                occasion=f"week_reset:{person[:200]}:{to_ms(week.starts_at)}",
                text=f"A new week has begun{topic}. It gives {hours} GPU-hours.")  # fmt: skip


def report_news(person: str, title: str, sentence: str, at: datetime) -> News:
    """Tell an organizer how a week was that is over."""
    return News(kind="week_report", person=person, at=at,
                occasion=f"week_report:{person[:200]}:{to_ms(at)}",
                text=f"{title}. {sentence} The whole report is on the page Report.")  # fmt: skip


def to_organizers(
    lab: Lab, kind: NoticeKind, occasion: str, text: str, at: datetime
) -> list[News]:
    """Address all organizers."""
    return [News(kind=kind, person=one, occasion=f"{kind}:{occasion}", text=text, at=at)
            for one in lab.organizers]  # fmt: skip
