"""From the books' values to the session listener's JSON."""

from datetime import datetime, timedelta
from typing import cast

from api.bridge import gpu_state_out
from api.pages.addresses import Addresses
from api.session_side import schemas as out
from quota.explanation import Explanation
from quota.help_queue import HelpRequest
from quota.lab import Lab
from quota.leases import Lease, end_text
from quota.session_facts import SessionFacts
from quota.views import SessionView

_POLL_S = 30
# In the last minutes people look at a countdown.
_POLL_SOON_S = 5
_SOON = timedelta(minutes=5)


def facts_out(found: SessionFacts, lab: Lab, addresses: Addresses) -> out.FactsOut:
    """Show a session all that it may know."""
    view, session, lease = found.account, found.session, found.session.lease
    return out.FactsOut(
        server_time=found.at, poll_after_s=_poll_after_s(session, found.at),
        scholar=view.account, server_name=lease.server_name, section=view.section,
        flavor=_flavor(lease, lab), gpu=_gpu(found), balance=_balance(found),
        session=_run(session), warn_min=sorted(lab.policy.warn_before_min, reverse=True),
        use=_use(session),
        attached=[
            out.VisitFacts(id=one.id, ta=one.ta, mode=one.mode, reason=one.reason, until=one.until)
            for one in found.visits
        ],
        help=None if found.help is None else hand_out(found.help, found.place),
        labs_passed=[one.name for one in found.passed],
        can=out.MayFacts(keep=found.may_keep, ask=found.may_ask),
        links=_links(view.account, lease, addresses),
    )  # fmt: skip


def hand_out(one: HelpRequest, place: int | None) -> out.HelpFacts:
    """Show a raised hand."""
    return out.HelpFacts(id=one.id, state=one.state, place=place, message=one.message,
                         claimed_by=one.claimed_by, raised_at=one.raised_at)  # fmt: skip


def why_out(found: Explanation) -> out.WhyOut:
    """Show why there are so many hours."""
    return out.WhyOut(
        available_mgpu_ms=found.available.mgpu_ms, available_hours=found.available.hours_text(),
        balance_mgpu_ms=found.balance.mgpu_ms, balance_hours=found.balance.hours_text(),
        lines=[
            out.WhyLine(text=one.text, amount_mgpu_ms=one.amount.mgpu_ms,
                        hours=one.amount.hours_text())
            for one in found.lines
        ],
    )  # fmt: skip


def _poll_after_s(session: SessionView, now: datetime) -> int:
    ends_at = session.ends_at
    is_soon = session.lease.state == "stopping" or (ends_at and ends_at - now <= _SOON)
    return _POLL_SOON_S if is_soon else _POLL_S


def _flavor(lease: Lease, lab: Lab) -> out.FlavorFacts:
    # The rules may have lost a flavor since the session began.
    known = lab.flavors.get(lease.flavor)
    return out.FlavorFacts(
        name=lease.flavor, title=known.title if known else lease.flavor,
        is_gpu=lease.share_mgpu > 0, weight_mgpu=lease.weight_mgpu,
    )  # fmt: skip


def _gpu(found: SessionFacts) -> out.GpuFacts | None:
    gpu, lease = found.gpu, found.session.lease
    if gpu is None:
        return None
    return out.GpuFacts(name=gpu.name, share_mgpu=lease.share_mgpu, memory_mib=lease.memory_mib,
                        virtual=gpu.kind == "virtual")  # fmt: skip


def _balance(found: SessionFacts) -> out.BalanceFacts:
    view = found.account
    return out.BalanceFacts(
        available_mgpu_ms=view.available.mgpu_ms, granted_mgpu_ms=view.granted.mgpu_ms,
        charged_mgpu_ms=view.charged.mgpu_ms, available_hours=view.available.hours_text(),
        granted_hours=view.granted.hours_text(),
        resets_at=None if view.week is None else view.week.ends_at,
        lasts_until=found.lasts_until,
    )  # fmt: skip


def _run(session: SessionView) -> out.RunFacts:
    lease = session.lease
    return out.RunFacts(
        lease_id=lease.id, state=cast("out.RunState", lease.state), started_at=lease.started_at,
        charged_mgpu_ms=session.charged.mgpu_ms, charged_hours=session.charged.hours_text(),
        ends_at=session.ends_at, end_text=end_text(lease.stop_reason),
    )  # fmt: skip


def _use(session: SessionView) -> out.UseFacts | None:
    if session.state is None:
        return None
    seen = gpu_state_out(session.state, session.release_at)
    return out.UseFacts(
        state=seen.state, since=seen.since, gpu_ratio=seen.busy_ratio, memory_mib=seen.held_mib,
        release_at=seen.release_at, kept_until=seen.kept_until,
    )  # fmt: skip


def _links(name: str, lease: Lease, addresses: Addresses) -> out.LinkFacts:
    return out.LinkFacts(
        hours=f"{addresses.own_origin}{addresses.page('hours')}",
        hub_home=addresses.hub("home"), start=addresses.start(name, lease.server_name),
    )  # fmt: skip
