"""Refunding time that was lost to a fault of the lab: an incident with a start and an end.

The charges stay as they are. What they took within the incident comes back as a new lot, once for
each scholar and incident, whatever paid it but a help budget (which the scholar never had).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from sqlalchemy import Connection

from quota.amount import GpuTime
from quota.audit import By, as_json
from quota.clock import ms_between
from quota.desk import Desk
from quota.errors import BadAmount, IdConflict
from quota.ledger import Lot
from quota.plain_text import check_id, check_text
from quota.posting import post_use
from quota.store import reads
from quota.store.trail import audit_lines, lock_trail, write_audit
from quota.store.usage import ChargeLine, charge_lines

_NOTED = "incident"
_REFUNDS = UUID("b9a7f2b0-7c34-5b3e-8c52-5dd0a3a54c11")


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """A fault of the lab: [starts_at, ends_at)."""

    id: str
    starts_at: datetime
    ends_at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundView:
    """What one scholar got back, or would get."""

    account: str
    amount: GpuTime
    is_new: bool


def check_incident(incident: Incident, now: datetime) -> None:
    """Check what can be checked without the books.

    Raises:
        BadAmount: it has no length, or is not over.
        BadText: its name or reason is not one line of plain text.

    """
    check_id(incident.id, "The name of an incident")
    check_text(incident.reason, "The reason")
    if incident.ends_at <= incident.starts_at:
        raise BadAmount("An incident has to end after it has started.")
    if incident.ends_at > now:
        raise BadAmount("An incident can be refunded when it is over.")


def note_incident(
    tx: Connection, hub_id: str, incident: Incident, *, by: By, at: datetime
) -> None:
    """Write an incident on the trail when it is first refunded.

    Raises:
        IdConflict: the id was used before for another time or reason.

    """
    lock_trail(tx)
    after = {"from": incident.starts_at, "until": incident.ends_at}
    for line in audit_lines(tx, subject=incident.id):
        if line.action == _NOTED and line.hub_id == hub_id:
            if (line.after, line.reason) != (as_json(after), incident.reason):
                raise IdConflict("This incident was refunded before with another time or reason.")
            return
    write_audit(tx, by, _NOTED, incident.id, hub_id=hub_id, at=at, reason=incident.reason,
                after=after)  # fmt: skip


def refund(desk: Desk, incident: Incident, *, by: By, dry_run: bool) -> RefundView | None:
    """Give one scholar back what the incident cost; None when it cost nothing.

    Asked again it gives nothing, unless more of the incident has come to light since: a worker
    that was down tells late what ran meanwhile.
    """
    lot_id = uuid5(_REFUNDS, f"{desk.account.hub_id}:{incident.id}:{desk.account.id}")
    earlier = reads.lot_by_id(desk.tx, lot_id)
    _post_until(desk, incident.ends_at)
    desk.save()
    lines = charge_lines(desk.tx, desk.account.id, incident.starts_at, incident.ends_at)
    amount = lost_in(lines, incident)
    if earlier is not None:
        amount = max(amount, earlier["amount"])
        if not dry_run:
            _top_up(desk, lot_id, amount, by)
        return RefundView(account=desk.account.name, amount=amount, is_new=False)
    if amount <= GpuTime.ZERO:
        return None
    if not dry_run:
        _give_back(desk, lot_id, amount, incident, by)
    return RefundView(account=desk.account.name, amount=amount, is_new=True)


def lost_in(lines: Iterable[ChargeLine], incident: Incident) -> GpuTime:
    """Return what charges took within an incident. Pure, and exact: cost is linear in time."""
    total = 0
    for line in lines:
        start = max(line.from_at, incident.starts_at)
        until = min(line.until_at, incident.ends_at)
        inside_ms = max(0, ms_between(start, until))
        total += line.amount.mgpu_ms * inside_ms // ms_between(line.from_at, line.until_at)
    return GpuTime(total)


def _post_until(desk: Desk, until: datetime) -> None:
    """Post what running sessions used by then, so that it can be given back."""
    desk.replace_leases([
        post_use(desk.account, one, min(until, one.observed_until or until), at=desk.now)
        for one in desk.leases
    ])  # fmt: skip


def _top_up(desk: Desk, lot_id: UUID, amount: GpuTime, by: By) -> None:
    lot = next((one for one in desk.account.lots if one.id == lot_id), None)
    if lot is None or amount == lot.amount:
        return
    before = lot.amount
    desk.account.adjust(lot, amount, author=by.actor, reason=lot.reason, at=desk.now)
    desk.save()
    write_audit(
        desk.tx, by, "refund", desk.account.name, hub_id=desk.account.hub_id, at=desk.now,
        reason=lot.reason, before={"hours": before.text()}, after={"hours": amount.text()},
    )  # fmt: skip


def _give_back(desk: Desk, lot_id: UUID, amount: GpuTime, incident: Incident, by: By) -> None:
    lasts = timedelta(days=desk.lab.policy.refund_lasts_days)
    reason = f"incident {incident.id}: {incident.reason}"[:500]
    desk.account.give(
        Lot(id=lot_id, source="refund", amount=amount, remaining=GpuTime.ZERO,
            starts_at=desk.now, ends_at=desk.now + lasts, author=by.actor, reason=reason),
        at=desk.now,
    )  # fmt: skip
    desk.save()
    write_audit(
        desk.tx, by, "refund", desk.account.name, hub_id=desk.account.hub_id, at=desk.now,
        reason=reason, after={"hours": amount.text(), "incident": incident.id},
    )  # fmt: skip
