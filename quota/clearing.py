"""Keeping what scholars have reserved: the worker's part, after each of its ticks.

What begins is told to its scholar, what nobody came for is given back, what its GPU cannot keep
any more is put on another, and sessions that would be in the way are told in time. Each change is
a transaction of its own under the lock of the account that it is about.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from quota.audit import By
from quota.desk import Desk, open_desk, open_desk_of_lease
from quota.kept_shares import KeptShare, Occupant, Wish, Yield, place_share, yields_of
from quota.lab import Lab
from quota.leases import Lease
from quota.news import reservation_news
from quota.outbox import tell
from quota.placement import GpuUse, without
from quota.reconcile import Notice
from quota.reservations import Holder, Reservation, ask_for, became_of, closed_in
from quota.reserving_ahead import note, plan_at
from quota.service import Books
from quota.store import reads, trail, writes
from quota.store import reservations as rows
from quota.store.engine import reading, transaction
from quota.store.reservations import Standing, occupants
from quota.turns import notice_of_yielding, room_of
from quota.wording import reservation_text

# On the audit trail, what the lab did by itself.
LAB = By(actor="gpulab")
_ACTIONS = {
    "no_show": "reservation.no_show", "called_off": "reservation.call_off",
    "used": "reservation.used", "over": "reservation.over",
}  # fmt: skip
_MOMENT = timedelta(milliseconds=1)


def keep_reservations(books: Books) -> None:
    """Bring everything that is reserved up to now.

    Where the lab takes no reservations, nothing is kept of what was reserved before.
    """
    lab, hub_id, now = books.lab, books.hub_id, books.clock.now()
    with reading(books.engine) as tx:
        found = rows.standing(tx, hub_id)
        gpus = reads.gpu_uses(tx, hub_id) if found is not None else ()
    if found is None:
        return
    after = [
        (name, _now(name, one, found, gpus, lab=lab, now=now)) for name, one in found.reserved
    ]
    for (name, before), (_, one) in zip(found.reserved, after, strict=True):
        if one != before:
            _carry_out(books, name, before, one)
    shares = [one.share(name, is_taken=_holder(name, one, found, lab).is_taken)
              for name, one in after if one.is_open]  # fmt: skip
    there = [(name, lease) for name, lease in found.leases if lease.state in ("held", "active")]
    for change in _yields(lab, gpus, shares, occupants(there), now):
        _let_yield(books, change)


# -- what becomes of each ------------------------------------------------------------------------


def _now(
    name: str, one: Reservation, found: Standing, gpus: tuple[GpuUse, ...], *, lab: Lab,
    now: datetime,
) -> Reservation:  # fmt: skip
    """Tell what a reservation is now; on another GPU where its own cannot keep it."""
    holder, place = _holder(name, one, found, lab), one.gpu_uuid
    if now < one.ends_at and not holder.is_taken:
        place = _place_of(one, found, gpus, lab, now) or ""
    after = became_of(one, holder, lab, can_be_kept=bool(place), now=now)
    return replace(after, gpu_uuid=place) if place and after.is_open else after


def _place_of(
    one: Reservation, found: Standing, gpus: tuple[GpuUse, ...], lab: Lab, now: datetime
) -> str | None:
    """Return the GPU that can keep a reservation: its own if that can, else another, or None."""
    starts_at = max(one.starts_at, now)
    if not lab.reservations.are_taken or closed_in(lab, starts_at, starts_at + _MOMENT):
        return None
    others = [other.share(name, is_taken=False) for name, other in found.reserved
              if other.id != one.id and now < other.ends_at]  # fmt: skip
    plan = plan_at(lab, gpus, others, occupants(found.leases), starts_at, now=now)
    wish = Wish(ask=ask_for(one, lab), starts_at=starts_at, ends_at=one.ends_at)
    # Who is on its own GPU has been, or will be, told to make room.
    own = replace(plan, gpus=tuple(gpu for gpu in plan.gpus if gpu.uuid == one.gpu_uuid),
                  free_from=now)  # fmt: skip
    return place_share(wish, own) or place_share(wish, plan)


def _holder(name: str, one: Reservation, found: Standing, lab: Lab) -> Holder:
    mine = [lease for who, lease in found.leases if who == name]
    there = [lease for lease in mine if lease.gpu_uuid is not None]
    return Holder(
        is_taken=any(
            lease.gpu_uuid == one.gpu_uuid and lease.share_mgpu >= one.share_mgpu
            and lease.memory_mib >= one.memory_mib for lease in there
        ),
        has_other=len(there) >= lab.sessions_of(name),
        waits=len(there) < len(mine),
        last_end=found.last_ends.get(one.account_id),
    )  # fmt: skip


def _carry_out(books: Books, name: str, before: Reservation, after: Reservation) -> None:
    """Write what became of a reservation, unless its scholar was faster, and tell it."""
    with transaction(books.engine, step="reservation_kept") as tx:
        desk = open_desk(tx, books.lab, books.hub_id, name, now=books.clock.now())
        if rows.reservation(tx, before.id, lock=True) != before:
            return
        if after.gpu_uuid != before.gpu_uuid:
            # Others may have reserved the place since it was looked for.
            trail.lock_trail(tx)
            if not _is_free(desk, after):
                return
            note(desk, LAB, "reservation.move", after, before)
        rows.update_reservation(tx, after)
        if not after.is_open:
            note(desk, LAB, _ACTIONS[after.state], after, before)
        _tell(desk, before, after)


def _is_free(desk: Desk, one: Reservation) -> bool:
    tx, hub_id = desk.tx, desk.account.hub_id
    shares = [other for other in rows.kept_shares(tx, hub_id, desk.now)
              if other.reservation_id != one.id]  # fmt: skip
    gpus = tuple(gpu for gpu in reads.gpu_uses(tx, hub_id) if gpu.uuid == one.gpu_uuid)
    there, starts_at = occupants(rows.gpu_leases(tx, hub_id)), max(one.starts_at, desk.now)
    plan = plan_at(desk.lab, gpus, shares, there, starts_at, now=desk.now)
    wish = Wish(ask=ask_for(one, desk.lab), starts_at=starts_at, ends_at=one.ends_at)
    return place_share(wish, plan) is not None


def _tell(desk: Desk, before: Reservation, after: Reservation) -> None:
    zone = desk.section.zone if desk.section is not None else UTC
    begins = after.is_open and before.begun_at is None and after.begun_at is not None
    state = "begins" if begins else after.state
    text = reservation_text(
        state, after.flavor, after.starts_at.astimezone(zone), after.ends_at.astimezone(zone),
        desk.lab.reservations.no_show_min,
    )  # fmt: skip
    if text is None or (after.is_open and not begins):
        return
    notice = Notice(account_id=after.account_id, lease_id=None, kind="reserved", text=text,
                    at=desk.now)  # fmt: skip
    writes.save_notices(desk.tx, [notice])
    news = reservation_news(desk.account.name, after.id, text, desk.now, begins=begins)
    tell(desk.tx, desk.lab, desk.account.hub_id, [news])


# -- sessions that make room ---------------------------------------------------------------------


def _yields(
    lab: Lab, gpus: tuple[GpuUse, ...], shares: list[KeptShare], there: list[Occupant],
    now: datetime,
) -> list[Yield]:  # fmt: skip
    room = room_of(lab, without(gpus, lab.drained_gpus), now, shares)
    found: list[Yield] = []
    for gpu in gpus:

        def window_of(account: str, uuid: str = gpu.uuid) -> datetime | None:
            hours = room.others_time(account, uuid, now)
            return hours.starts_at if hours is not None and hours.starts_at > now else None

        found += yields_of(
            [one for one in there if one.gpu_uuid == gpu.uuid], gpu,
            room.shares.get(gpu.uuid, ()), window_of, now=now, max_sharers=room.max_sharers,
            notice_until=now + timedelta(minutes=lab.reservations.notice_min),
        )  # fmt: skip
    return found


def _let_yield(books: Books, change: Yield) -> None:
    """Write down when a session has to make room, or that it need not, and tell its scholar."""
    with transaction(books.engine, step="room_made") as tx:
        desk = open_desk_of_lease(tx, books.lab, change.lease_id, now=books.clock.now())
        lease = _running(desk, change.lease_id)
        if lease is None:
            return
        after = replace(lease, yields_at=change.at, yields_to=change.to)
        writes.update_lease(tx, lease, after)
        if change.to is not None:
            writes.save_notices(tx, notice_of_yielding(desk, after))


def _running(desk: Desk, lease_id: UUID) -> Lease | None:
    return next((one for one in desk.leases
                 if one.id == lease_id and one.state in ("held", "active")), None)  # fmt: skip
