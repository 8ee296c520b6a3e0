"""From the values of the office to the service's JSON."""

import json
from collections.abc import Iterable, Sequence

from api import schemas_bulk as bulk
from api import schemas_office as out
from api.bridge import grant_out, week_out
from api.schemas_help import HelpOut
from api.schemas_reservations import ReservationOut
from quota.agenda import Due, Window
from quota.amount import GpuTime
from quota.attachments import Attachment
from quota.audit import AuditLine
from quota.bulk import BulkPlan, RowFault
from quota.explanation import Explanation
from quota.help_queue import HelpRequest
from quota.hour_requests import HourRequest
from quota.refunding import RefundView
from quota.reservations import Reservation
from quota.section_week import SectionWeek
from quota.views import AccountView, GrantView

# What is wrong is named for so many rows; who mends those finds the rest at the next try.
FAULTS_SHOWN = 1_000
ROWS_SHOWN = 200


def account_line(view: AccountView) -> out.AccountLine:
    """Show an account in a list."""
    return out.AccountLine(
        account=view.account, section=view.section, granted_mgpu_ms=view.granted.mgpu_ms,
        charged_mgpu_ms=view.charged.mgpu_ms, held_mgpu_ms=view.held.mgpu_ms,
        balance_mgpu_ms=view.balance.mgpu_ms, available_mgpu_ms=view.available.mgpu_ms,
        debt_mgpu_ms=view.debt.mgpu_ms, available_hours=view.available.hours_text(),
        sessions=len(view.sessions),
    )  # fmt: skip


def explanation_out(found: Explanation) -> out.ExplanationOut:
    """Show why somebody has so many hours."""
    return out.ExplanationOut(
        account=found.account, balance_mgpu_ms=found.balance.mgpu_ms,
        held_mgpu_ms=found.held.mgpu_ms, available_mgpu_ms=found.available.mgpu_ms,
        balance_hours=found.balance.hours_text(), available_hours=found.available.hours_text(),
        lines=[
            out.BalanceLineOut(
                kind=one.kind, text=one.text, amount_mgpu_ms=one.amount.mgpu_ms,
                hours=one.amount.hours_text(), author=one.author, lot_id=one.lot_id,
                ends_at=one.ends_at,
            )
            for one in found.lines
        ],
    )  # fmt: skip


def request_out(account: str, one: HourRequest) -> out.RequestOut:
    """Show a request."""
    return out.RequestOut(
        id=one.id, account=account, hours_mgpu_ms=one.hours.mgpu_ms, hours=one.hours.hours_text(),
        reason=one.reason, state=one.state, asked_at=one.asked_at, stale_at=one.stale_at,
        decided_at=one.decided_at, decided_by=one.decided_by,
        granted_mgpu_ms=None if one.granted is None else one.granted.mgpu_ms, answer=one.answer,
    )  # fmt: skip


def refund_out(incident: str, found: Iterable[RefundView], *, dry_run: bool) -> out.RefundOut:
    """Show what an incident gave back."""
    lines = list(found)
    total = GpuTime.total(one.amount for one in lines)
    return out.RefundOut(
        incident=incident, dry_run=dry_run, total_mgpu_ms=total.mgpu_ms,
        total_hours=total.hours_text(),
        refunds=[
            out.RefundLine(account=one.account, amount_mgpu_ms=one.amount.mgpu_ms,
                           hours=one.amount.hours_text(), is_new=one.is_new)
            for one in lines
        ],
    )  # fmt: skip


def attachment_out(account: str, one: Attachment, *, may_enter: bool | None) -> out.AttachmentOut:
    """Show an attachment."""
    return out.AttachmentOut(
        id=one.id, account=account, lease_id=one.lease_id, ta=one.ta, mode=one.mode,
        reason=one.reason, started_at=one.started_at, until=one.until, ended_at=one.ended_at,
        end_reason=one.end_reason, help_request_id=one.help_request_id,
        may_enter=may_enter,
    )  # fmt: skip


def help_out(account: str, one: HelpRequest, *, section: str | None, place: int | None) -> HelpOut:
    """Show a request for help."""
    return HelpOut(
        id=one.id, account=account, section=section, server_name=one.server_name,
        message=one.message, path=one.path, state=one.state, place=place,
        raised_at=one.raised_at, claimed_by=one.claimed_by, claimed_at=one.claimed_at,
        closed_by=one.closed_by, closed_at=one.closed_at, answer=one.answer,
    )  # fmt: skip


def reservation_out(account: str, one: Reservation, *, section: str | None) -> ReservationOut:
    """Show a reservation."""
    return ReservationOut(
        id=one.id, account=account, section=section, flavor=one.flavor, starts_at=one.starts_at,
        ends_at=one.ends_at, state=one.state, made_at=one.made_at, closed_at=one.closed_at,
    )  # fmt: skip


def audit_out(line: AuditLine) -> out.AuditLineOut:
    """Show a line of the trail."""
    before, after = (None if text is None else json.loads(text)
                     for text in (line.before, line.after))  # fmt: skip
    return out.AuditLineOut(
        seq=line.seq, at=line.at, hub_id=line.hub_id, actor=line.actor, action=line.action,
        subject=line.subject, reason=line.reason, before=before, after=after,
        request_id=line.request_id, hash=line.hash.hex(),
    )  # fmt: skip


def section_week_out(found: SectionWeek) -> out.SectionWeekOut:
    """Show a section's week."""
    return out.SectionWeekOut(
        section=found.section, time_zone=found.time_zone, week=week_out(found.week),
        due=[_due_out(one) for one in found.due],
        co_working=_windows(found.co_working), office_hours=_windows(found.office_hours),
        blackouts=_windows(found.blackouts),
    )  # fmt: skip


def trial_out(
    plan: BulkPlan, faults: Sequence[RowFault], available: dict[str, GpuTime]
) -> bulk.BulkTrial:
    """Show what a bulk grant would do; `available` is known for the rows that are shown."""
    shown = [one for one in plan.grants if one.row.account in available]
    return bulk.BulkTrial(
        id=plan.id, count=len(plan.grants), total_mgpu_ms=plan.total.mgpu_ms,
        total_hours=plan.total.hours_text(),
        faults=[bulk.RowFaultOut(line=x.line, account=x.account, what=x.what)
                for x in faults[:FAULTS_SHOWN]],
        faults_left_out=max(0, len(faults) - FAULTS_SHOWN),
        changes=[
            bulk.BulkChange(
                account=one.row.account, hours=one.amount.text(),
                available_before_mgpu_ms=available[one.row.account].mgpu_ms,
                available_after_mgpu_ms=(available[one.row.account] + one.amount).mgpu_ms,
            )
            for one in shown
        ],
        changes_left_out=len(plan.grants) - len(shown),
        token=None if faults else plan.fingerprint,
    )  # fmt: skip


def done_out(plan: BulkPlan, views: Sequence[GrantView]) -> bulk.BulkDone:
    """Show what a bulk grant gave."""
    return bulk.BulkDone(
        id=plan.id, count=len(views), total_mgpu_ms=plan.total.mgpu_ms,
        total_hours=plan.total.hours_text(),
        grants=[grant_out(one) for one in views[:ROWS_SHOWN]],
        grants_left_out=max(0, len(views) - ROWS_SHOWN),
    )  # fmt: skip


def _due_out(one: Due) -> out.DueOut:
    return out.DueOut(name=one.name, title=one.title, due_at=one.due_at,
                      hours_mgpu_ms=one.hours.mgpu_ms, hours_from=one.hours_from)  # fmt: skip


def _windows(found: Iterable[Window]) -> list[out.WindowOut]:
    return [
        out.WindowOut(name=one.name, title=one.title, starts_at=one.starts_at,
                      ends_at=one.ends_at)
        for one in found
    ]  # fmt: skip
