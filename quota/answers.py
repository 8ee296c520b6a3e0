"""Putting together what the books answer: reads in another's transaction, nothing written."""

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping

from quota.admission import ask_of, refusal_of
from quota.allowances import boost_ids, settle
from quota.amount import GpuTime
from quota.budgets import pool_room
from quota.chain import GENESIS
from quota.desk import funds
from quota.endings import Ending, closing, ending_of, runs_out_at
from quota.entitlement import current_week
from quota.errors import NoSuchAccount
from quota.explanation import Explanation, explain
from quota.gpu_sharing import notes_for_scholars
from quota.lab import Lab
from quota.leases import Lease, end_text
from quota.ledger import Account
from quota.line_answers import Forecasts, line_view
from quota.placement import count_slots
from quota.requests import Asked
from quota.standing import with_states
from quota.store import reads
from quota.store.usage import lot_uses
from quota.turns import room_now
from quota.views import (
    AccountView,
    ChargeView,
    FlavorView,
    GrantView,
    LeaseView,
    NoticeView,
    SessionView,
    SpawnView,
)
from quota.waiting import usable_by

_NEWEST_CHARGES = 50
_NEWEST_NOTICES = 10


def lease_view(
    tx: Connection, lab: Lab, account: Account, asked: Asked, *, now: datetime,
    forecasts: Forecasts,
) -> LeaseView:  # fmt: skip
    """Show a lease, with its place in the line if it waits."""
    lease = asked.lease
    gpu = asked.slot if lease.gpu_uuid is not None else None
    if lease.gpu_uuid is not None and gpu is None:
        gpu = reads.gpu(tx, lease.gpu_uuid)
    start_before = None
    if lease.state == "held" and lease.held_at is not None:
        start_before = lease.held_at + timedelta(seconds=lab.policy.spawn_timeout_s)
    return LeaseView(
        lease=lease,
        hub_id=account.hub_id,
        account=account.name,
        gpu=gpu,
        line=line_view(tx, lab, account, asked, now=now, forecasts=forecasts)
        if lease.state == "waiting"
        else None,
        start_before=start_before,
        end_text=end_text(lease.end_reason),
    )


def account_view(
    tx: Connection, lab: Lab, hub_id: str, name: str, *, now: datetime
) -> AccountView:
    """Show an account as it will be when it is next settled; an unknown person has nothing.

    Raises:
        NoSuchAccount: neither the lab nor the books know the person.

    """
    section = lab.section_of(name)
    if section is None and not lab.knows(name) and reads.account_row(tx, hub_id, name) is None:
        raise NoSuchAccount("The lab knows nobody of this name.")
    return _account_view(tx, lab, hub_id, name, now=now)


def _account_view(
    tx: Connection, lab: Lab, hub_id: str, name: str, *, now: datetime
) -> AccountView:
    section = lab.section_of(name)
    account, open_leases = _settled(tx, lab, hub_id, name, now=now)
    week = current_week(lab, section, now)
    room = pool_room(tx, lab, section, account, now)
    runs_out = runs_out_at(account, open_leases, lab=lab, section=section, now=now, pool=room)
    blackout = closing(lab, now)
    unposted = GpuTime.total(lease.unposted(now) for lease in open_leases)
    posted = reads.charged_by_lease(tx, [lease.id for lease in open_leases])
    stored = reads.lots_since(tx, account.id, now) if account.id else []
    shown = {lot.id: lot for lot in stored} | {lot.id: lot for lot in account.lots}
    lots = tuple(sorted(shown.values(), key=lambda lot: (lot.ends_at, lot.id)))
    valid = [lot for lot in lots if lot.is_usable(now)]
    granted = GpuTime.total(lot.amount for lot in valid)
    balance = account.usable(now) - unposted
    return AccountView(
        account=name,
        hub_id=hub_id,
        section=section.name if section else None,
        time_zone=section.time_zone if section else "UTC",
        week=week,
        granted=granted,
        charged=granted - balance,
        held=account.held,
        balance=balance,
        available=funds(account, open_leases, lab=lab, section=section, now=now).available,
        debt=account.debt,
        lots=lots,
        sessions=with_states(
            tx,
            lab,
            hub_id,
            [
                _session_view(
                    one,
                    posted.get(one.id, GpuTime.ZERO),
                    ending_of(one, runs_out, blackout, lab),
                    lab,
                    now,
                )
                for one in open_leases
            ],
            now=now,
        ),
        charges=_charges(tx, account.id),
        notices=_notices(tx, account.id),
        runs_out_at=runs_out,
    )


def explanation_view(
    tx: Connection, lab: Lab, hub_id: str, name: str, *, now: datetime
) -> Explanation:
    """Explain a balance line by line.

    Raises:
        NoSuchAccount: neither the lab nor the books know the person.

    """
    return explanation_of(tx, account_view(tx, lab, hub_id, name, now=now), now=now)


def explanation_of(tx: Connection, view: AccountView, *, now: datetime) -> Explanation:
    """Explain the very balance that was just looked at."""
    row = reads.account_row(tx, view.hub_id, view.account)
    uses = [] if row is None else lot_uses(tx, row["id"], [lot.id for lot in view.lots])
    unposted = GpuTime.total(lot.remaining for lot in view.lots if lot.is_usable(now))
    return Explanation(
        account=view.account, balance=view.balance, held=view.held, available=view.available,
        lines=explain(view.lots, uses, debt=view.debt, now=now,
                      unposted=unposted - view.debt - view.balance),
    )  # fmt: skip


def spawn_view(tx: Connection, lab: Lab, hub_id: str, name: str, *, now: datetime) -> SpawnView:
    """Show what a person could start now."""
    section = lab.section_of(name)
    account, open_leases = _settled(tx, lab, hub_id, name, now=now)
    mine = funds(account, open_leases, lab=lab, section=section, now=now)
    room = pool_room(tx, lab, section, account, now)
    mine = replace(mine, available=mine.available + room)
    line_room = room_now(tx, lab, hub_id, now)
    devices, mine_now = line_room.gpus, usable_by(name, line_room, now=now)
    flavors = []
    for flavor in lab.flavors.values():
        free, total = (0, 0)
        if flavor.is_gpu:
            free, _ = count_slots(mine_now, ask_of(flavor), lab.gpus.max_sharers)
            _, total = count_slots(devices, ask_of(flavor), lab.gpus.max_sharers)
        lasts_s = None
        if flavor.weight_mgpu:
            lasts_s = max(0, mine.available.lasts_ms(flavor.weight_mgpu) // 1000)
        refusal = refusal_of(flavor, mine, devices, lab.policy)
        flavors.append(FlavorView(flavor=flavor, free_slots=free, total_slots=total,
                                  lasts_s=lasts_s, refusal=refusal))  # fmt: skip
    return SpawnView(
        account=_account_view(tx, lab, hub_id, name, now=now),
        flavors=tuple(flavors),
        images=tuple(lab.images.values()),
        gpu_notes=notes_for_scholars(devices, lab.gpus.max_sharers),
    )


def grant_view(row: RowMapping, hub_id: str, name: str) -> GrantView:
    """Show a grant."""
    return GrantView(id=row["id"], account=name, hub_id=hub_id, amount=row["amount"],
                     starts_at=row["starts_at"], ends_at=row["ends_at"], author=row["author"],
                     reason=row["reason"], source=row["source"])  # fmt: skip


def _settled(
    tx: Connection, lab: Lab, hub_id: str, name: str, *, now: datetime
) -> tuple[Account, list[Lease]]:
    """Load an account and bring it up to now in memory only: looking changes nothing."""
    section = lab.section_of(name)
    row = reads.account_row(tx, hub_id, name)
    if row is None:
        account = Account(id=0, hub_id=hub_id, kind="scholar", name=name, head=GENESIS)
        return account, settle(account, [], lab=lab, section=section, now=now)
    account = reads.account_of(row, reads.open_lots(tx, [row["id"]])[row["id"]])
    before = reads.open_leases(tx, account.id)
    given = reads.existing_lots(tx, boost_ids(account.id, lab, section, name, now))
    return account, settle(account, before, lab=lab, section=section, now=now, given=given)


def _session_view(
    lease: Lease, posted: GpuTime, ending: Ending | None, lab: Lab, now: datetime
) -> SessionView:
    ends_at = ending.at if ending is not None and lease.is_running else None
    turn_until = None
    if lease.state == "waiting" and lease.offered_at is not None:
        turn_until = lease.offered_at + timedelta(seconds=lab.policy.offer_s)
    return SessionView(lease=lease, charged=posted + lease.unposted(now), ends_at=ends_at,
                       turn_until=turn_until)  # fmt: skip


def _charges(tx: Connection, account_id: int) -> tuple[ChargeView, ...]:
    rows = reads.charges(tx, account_id, newest=_NEWEST_CHARGES)
    return tuple(
        ChargeView(lease_id=row["lease_id"], from_at=row["from_at"], until_at=row["until_at"],
                   amount=-row["posted"]) for row in rows
    )  # fmt: skip


def _notices(tx: Connection, account_id: int) -> tuple[NoticeView, ...]:
    rows = reads.recent_notices(tx, account_id, newest=_NEWEST_NOTICES)
    return tuple(
        NoticeView(id=row["id"], kind=row["kind"], text=row["text"], lease_id=row["lease_id"],
                   at=row["at"]) for row in rows
    )  # fmt: skip
