"""The only bridge from the books' values to the service's JSON."""

from datetime import datetime

from api import schemas
from quota.calendar import Week
from quota.placement import GpuUse
from quota.session_states import StoredState
from quota.views import (
    AccountView,
    FlavorView,
    GrantView,
    LeaseView,
    LineView,
    NoticeView,
    SessionView,
    SpawnView,
)


def lease_out(view: LeaseView, now: datetime) -> schemas.LeaseOut:
    """Show a lease."""
    lease = view.lease
    return schemas.LeaseOut(
        id=lease.id,
        hub_id=view.hub_id,
        account=view.account,
        server_name=lease.server_name,
        flavor=lease.flavor,
        image=lease.image,
        state=lease.state,
        weight_mgpu=lease.weight_mgpu,
        gpu=_gpu_out(view),
        waiting=None if view.line is None else _waiting_out(view.line),
        start_before=view.start_before,
        started_at=lease.started_at,
        end_reason=lease.end_reason,
        end_text=view.end_text,
        server_time=now,
    )


def account_out(view: AccountView, now: datetime) -> schemas.AccountOut:
    """Show an account."""
    return schemas.AccountOut(
        account=view.account,
        hub_id=view.hub_id,
        section=view.section,
        time_zone=view.time_zone,
        week=None if view.week is None else week_out(view.week),
        resets_at=None if view.week is None else view.week.ends_at,
        granted_mgpu_ms=view.granted.mgpu_ms,
        charged_mgpu_ms=view.charged.mgpu_ms,
        held_mgpu_ms=view.held.mgpu_ms,
        balance_mgpu_ms=view.balance.mgpu_ms,
        available_mgpu_ms=view.available.mgpu_ms,
        debt_mgpu_ms=view.debt.mgpu_ms,
        balance_hours=view.balance.hours_text(),
        available_hours=view.available.hours_text(),
        lots=[
            schemas.LotOut(
                id=lot.id,
                source=lot.source,
                amount_mgpu_ms=lot.amount.mgpu_ms,
                remaining_mgpu_ms=lot.remaining.mgpu_ms,
                starts_at=lot.starts_at,
                ends_at=lot.ends_at,
                author=lot.author,
                reason=lot.reason,
            )
            for lot in view.lots
        ],
        sessions=[_session_out(one) for one in view.sessions],
        charges=[
            schemas.ChargeOut(
                lease_id=one.lease_id,
                from_at=one.from_at,
                until_at=one.until_at,
                amount_mgpu_ms=one.amount.mgpu_ms,
            )
            for one in view.charges
        ],
        notices=[_notice_out(one) for one in view.notices],
        server_time=now,
    )


def spawn_options_out(view: SpawnView, now: datetime) -> schemas.SpawnOptionsOut:
    """Show what can be started."""
    account = account_out(view.account, now)
    return schemas.SpawnOptionsOut(
        account=account,
        flavors=[_flavor_out(one) for one in view.flavors],
        images=[
            schemas.ImageOut(name=one.name, title=one.title, description=one.description)
            for one in view.images
        ],
        gpu_notes=list(view.gpu_notes),
        notices=account.notices,
        server_time=now,
    )


def grant_out(view: GrantView) -> schemas.GrantOut:
    """Show a grant."""
    return schemas.GrantOut(
        id=view.id,
        account=view.account,
        hub_id=view.hub_id,
        amount_mgpu_ms=view.amount.mgpu_ms,
        starts_at=view.starts_at,
        ends_at=view.ends_at,
        author=view.author,
        reason=view.reason,
        source=view.source,
    )


def _gpu_out(view: LeaseView) -> schemas.GpuOut | None:
    gpu: GpuUse | None = view.gpu
    if gpu is None:
        return None
    return schemas.GpuOut(
        uuid=gpu.uuid,
        name=gpu.name,
        share_mgpu=view.lease.share_mgpu,
        memory_mib=view.lease.memory_mib,
        virtual=gpu.kind == "virtual",
        gpu_memory_mib=gpu.memory_mib,
        sharing=gpu.sharing,
        holds_memory=gpu.holds_memory,
    )


def _waiting_out(line: LineView) -> schemas.WaitingOut:
    return schemas.WaitingOut(
        position=line.position,
        of=line.of,
        reason=line.reason,
        text=line.text,
        estimated_wait_s=line.estimated_wait_s,
        offered=line.offered,
    )


def week_out(week: Week) -> schemas.WeekOut:
    """Show a week."""
    return schemas.WeekOut(
        number=week.number, topic=week.topic, starts_at=week.starts_at, ends_at=week.ends_at
    )


def _session_out(one: SessionView) -> schemas.SessionOut:
    return schemas.SessionOut(
        lease_id=one.lease.id,
        server_name=one.lease.server_name,
        flavor=one.lease.flavor,
        image=one.lease.image,
        state=one.lease.state,
        keeps_place=one.lease.keeps_place,
        turn_until=one.turn_until,
        weight_mgpu=one.lease.weight_mgpu,
        gpu_uuid=one.lease.gpu_uuid,
        started_at=one.lease.started_at,
        charged_mgpu_ms=one.charged.mgpu_ms,
        ends_at=one.ends_at,
        gpu_state=None if one.state is None else gpu_state_out(one.state, one.release_at),
    )


def gpu_state_out(state: StoredState, release_at: datetime | None) -> schemas.GpuStateOut:
    """Show what a session does with its GPU."""
    use = state.use
    percent = None if use is None else use.busy_percent
    return schemas.GpuStateOut(
        state=state.state,
        since=state.since,
        release_at=release_at,
        kept_until=state.kept_until,
        busy_ratio=None if percent is None else percent / 100,
        held_mib=None if use is None else use.held_mib,
    )


def _notice_out(one: NoticeView) -> schemas.NoticeOut:
    return schemas.NoticeOut(
        id=one.id, kind=one.kind, text=one.text, lease_id=one.lease_id, at=one.at
    )


def _flavor_out(one: FlavorView) -> schemas.FlavorOut:
    flavor, refusal = one.flavor, one.refusal
    cost = f"{flavor.weight_mgpu / 1000:g} GPU-hours per hour" if flavor.weight_mgpu else "free"
    return schemas.FlavorOut(
        name=flavor.name,
        title=flavor.title,
        description=flavor.description,
        is_gpu=flavor.is_gpu,
        weight_mgpu=flavor.weight_mgpu,
        cost_text=cost,
        free_slots=one.free_slots,
        total_slots=one.total_slots,
        lasts_s=one.lasts_s,
        may_start=refusal is None,
        refusal=None
        if refusal is None
        else schemas.RefusalOut(
            code=refusal.code, detail=refusal.message, retry_at=refusal.retry_at
        ),
    )
