"""Asking for a lease and giving it up: the use cases on the way into a session.

Each runs in one transaction that locks the account first. `Books` in `quota.service` opens it.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from quota.admission import Admit, Decision, Refuse, Wait, ask_of, decide, least_needed
from quota.amount import GpuTime
from quota.budgets import draw_from_pool
from quota.desk import Desk, funds
from quota.errors import (
    AlreadyRunning,
    InsufficientBalance,
    LeaseConflict,
    NoSuchFlavor,
    NoSuchImage,
    NoSuchLease,
    Refusal,
)
from quota.kept_places import hand_over, take_up, tell_refusal, tell_turn
from quota.lab import Lab
from quota.lab_gpus import Flavor
from quota.lease_ids import was_made_before
from quota.leases import Lease, LeaseRequest, ended, stopping
from quota.news import stopped_by_organizer, turn_news
from quota.outbox import tell
from quota.placement import GpuUse
from quota.store import slots, writes
from quota.turns import notice_of_yielding, place_at, room_of, with_use, without_lost_offer
from quota.waiting import Place

# What it is called when somebody who only waits is stopped by themselves.
_LEFT = {"person": "left_line", "scholar": "left_line"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The answer to a request: the lease, its place if it waits, and why; or a refusal."""

    lease: Lease
    refusal: Refusal | None = None
    place: Place | None = None
    wait_reason: str = ""
    slot: GpuUse | None = None  # of a lease admitted just now: it has been read anyway


def request(desk: Desk, lease_id: UUID, wanted: LeaseRequest, *, present: bool) -> Asked:
    """Decide a request, or tell what became of it: repeating it changes nothing else.

    Raises:
        LeaseConflict: the id was used for something else.
        NoSuchFlavor, NoSuchImage: the lab has nothing of this name.
        AlreadyRunning: it arrives so late that a newer request of this server is open.

    """
    existing = desk.lease(lease_id)
    if existing is not None:
        _check_same(desk, existing, wanted)
        if existing.state != "waiting":
            desk.save()
            return Asked(lease=existing)
    flavor = _flavor(desk.lab, wanted)
    lease = existing or _new_lease(desk, lease_id, wanted, flavor)
    rival = _rival(desk, lease)
    if rival is not None and existing is None:
        if was_made_before(lease.id, rival.id):
            # Stuck on its way and given up since: it must not end what was started after it.
            raise AlreadyRunning("A newer session of this server is open already.")
        return _wait_for_end_of(desk, rival, lease)
    return _decide(desk, lease, flavor, is_new=existing is None, present=present)


def stop(desk: Desk, lease_id: UUID, reason: str) -> Lease:
    """Note that a lease has to end. What runs is ended by the worker, which sees the runtime.

    Raises:
        NoSuchLease: the account has no such lease.

    """
    lease = desk.lease(lease_id)
    if lease is None or lease.account_id != desk.account.id:
        raise NoSuchLease("There is no such lease.")
    after = _stopped(lease, reason, desk.now)
    writes.update_lease(desk.tx, lease, after)
    desk.save()
    if reason == "organizer" and after is not lease:
        news = stopped_by_organizer(desk.account.name, lease, desk.now)
        tell(desk.tx, desk.lab, desk.account.hub_id, [news])
    return after


# -- inside a request ---------------------------------------------------------------------------


def _check_same(desk: Desk, lease: Lease, wanted: LeaseRequest) -> None:
    same = (
        lease.account_id == desk.account.id
        and lease.server_name == wanted.server_name
        and lease.flavor == wanted.flavor
        and lease.image == wanted.image
    )
    if not same:
        raise LeaseConflict("This lease id was used before for another request. Use a new one.")


def _flavor(lab: Lab, wanted: LeaseRequest) -> Flavor:
    flavor = lab.flavors.get(wanted.flavor)
    if flavor is None:
        names = ", ".join(sorted(lab.flavors))
        raise NoSuchFlavor(f"This lab has no such flavor. It has: {names}.")
    if wanted.image not in lab.images:
        names = ", ".join(sorted(lab.images))
        raise NoSuchImage(f"This lab has no such image. It has: {names}.")
    return flavor


def _new_lease(desk: Desk, lease_id: UUID, wanted: LeaseRequest, flavor: Flavor) -> Lease:
    return Lease(
        id=lease_id,
        account_id=desk.account.id,
        server_name=wanted.server_name,
        flavor=flavor.name,
        image=wanted.image,
        state="waiting",
        weight_mgpu=flavor.weight_mgpu,
        share_mgpu=flavor.share_mgpu,
        memory_mib=flavor.memory_mib,
        requested_at=desk.now,
        asked_at=desk.now,
    )


def _rival(desk: Desk, lease: Lease) -> Lease | None:
    """Find the open lease of the same server under another id: there may be one, no more."""
    for other in desk.leases:
        if other.server_name == lease.server_name and other.id != lease.id:
            return other
    return None


def _wait_for_end_of(desk: Desk, rival: Lease, lease: Lease) -> Asked:
    """A hub that starts a server again has lost the one before: end that, then go on.

    The new request is not written while the old lease is open, so that the law of one open lease
    per server holds; the hub asks again in two seconds.
    """
    after = _stopped(rival, "server_gone", desk.now)
    writes.update_lease(desk.tx, rival, after)
    desk.save()
    return Asked(lease=lease, wait_reason="previous_ending")


def _stopped(lease: Lease, reason: str, now: datetime) -> Lease:
    if lease.state == "waiting":
        return ended(lease, reason=_LEFT.get(reason, reason), at=now)
    if lease.state in ("held", "active"):
        return stopping(lease, reason=reason, at=now)
    return lease


def _decide(desk: Desk, lease: Lease, flavor: Flavor, *, is_new: bool, present: bool) -> Asked:
    tx, lab, lease_id = desk.tx, desk.lab, lease.id
    seen = desk.room() if flavor.is_gpu else None
    room = room_of(lab, seen.gpus, desk.now, seen.shares) if seen else room_of(lab, (), desk.now)
    if is_new and flavor.is_gpu:
        lease = take_up(desk, lease, room)
    lease = without_lost_offer(desk, lease, room)
    if flavor.is_gpu and desk.room().waiting:
        lease = with_use(desk, lease)
    place = place_at(desk, lease, room)
    starting = desk.room().starting if flavor.is_gpu else 0

    def decided() -> Decision:
        mine = [one for one in desk.leases if one.id != lease_id]
        can_pay = funds(desk.account, mine, lab=lab, section=desk.section, now=desk.now)
        return decide(flavor, can_pay, room.gpus, place, present=present, starting=starting,
                      policy=lab.policy)  # fmt: skip

    decision = decided()
    least = least_needed(flavor, lab.policy)
    if _is_short(decision) and draw_from_pool(desk, flavor.weight_mgpu, least=least):
        decision = decided()
    match decision:
        case Refuse(refusal=refusal):
            over = ended(lease, reason="refused", at=desk.now)
            if not is_new:
                writes.update_lease(tx, lease, over)
                desk.save()
            if lease.keeps_place and not is_new:
                tell_refusal(desk, lease, refusal)
            return Asked(lease=over, refusal=refusal)
        case Wait(reason=reason, offer=offer):
            return _wait(desk, lease, place, reason, offer, is_new=is_new)
        case Admit(slot=slot, hold=hold):
            return _admit(desk, lease, place, slot, hold, is_new=is_new)


def _is_short(decision: Decision) -> bool:
    return isinstance(decision, Refuse) and isinstance(decision.refusal, InsufficientBalance)


def _wait(
    desk: Desk, lease: Lease, place: Place, reason: str, offer: GpuUse | None, *, is_new: bool
) -> Asked:
    # Who waits keeps a place that follows what was used until then.
    after = replace(with_use(desk, lease) if place.slot is None else lease, asked_at=desk.now)
    if offer is not None and lease.gpu_uuid is None and _take(desk, lease, offer):
        after = replace(after, gpu_uuid=offer.uuid, offered_at=desk.now)
        if lease.keeps_place:
            tell_turn(desk, lease)
        news = turn_news(desk.account.name, after, desk.lab, desk.now)
        tell(desk.tx, desk.lab, desk.account.hub_id, [news])
    _write(desk, lease, after, is_new=is_new)
    return Asked(lease=after, place=place, wait_reason=reason)


def _admit(
    desk: Desk, lease: Lease, place: Place, slot: GpuUse | None, hold: GpuTime, *, is_new: bool
) -> Asked:
    if slot is not None and lease.gpu_uuid is None and not _take(desk, lease, slot):
        # Somebody was faster between our look and our grip; the next question finds another.
        lost = replace(place, slot=None)
        return _wait(desk, lease, lost, "all_taken", None, is_new=is_new)
    yields = place.kept if slot is not None else None
    desk.account.pend(lease.id, hold, at=desk.now)
    after = replace(
        lease,
        state="held",
        hold=hold,
        gpu_uuid=slot.uuid if slot else None,
        asked_at=desk.now,
        held_at=desk.now,
        yields_at=yields.starts_at if yields else None,
        yields_to=yields.reservation_id if yields else None,
    )
    _write(desk, lease, after, is_new=is_new)
    if yields is not None:
        writes.save_notices(desk.tx, notice_of_yielding(desk, after))
    return Asked(lease=after, slot=slot)


def _take(desk: Desk, lease: Lease, slot: GpuUse) -> bool:
    ask = ask_of(desk.lab.flavors[lease.flavor])
    max_sharers = desk.lab.gpus.max_sharers
    if desk.takes_late:
        slots.take_gpu_late(desk.tx, slot.uuid, ask, max_sharers=max_sharers)
        return True
    return slots.take_gpu(desk.tx, slot.uuid, ask, max_sharers=max_sharers)


def _write(desk: Desk, before: Lease, after: Lease, *, is_new: bool) -> None:
    if is_new:
        hand_over(desk, after)
        writes.insert_lease(desk.tx, after)
    else:
        writes.update_lease(desk.tx, before, after)
    desk.save()
