"""Whose turn it is by the books: what is read and put together for the rules of `waiting`."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from quota.amount import GpuTime
from quota.clock import ms_between
from quota.desk import Desk
from quota.fair_share import part_used, week_starts
from quota.kept_shares import KeptShare, by_gpu, in_time
from quota.lab import Lab
from quota.leases import Lease
from quota.placement import GpuUse, release, without
from quota.reconcile import Notice
from quota.reserving import keeping, meeting_now
from quota.store import reads, writes
from quota.store.reservations import kept_shares
from quota.store.usage import used_since
from quota.waiting import Place, Room, Waiter, place_of
from quota.wording import yields_later_text


def room_of(
    lab: Lab, gpus: tuple[GpuUse, ...], now: datetime, shares: Sequence[KeptShare] = ()
) -> Room:
    """Put the GPUs and what is reserved together with the lab's rules of placing and waiting."""
    models = {flavor.name: flavor.gpu_models for flavor in lab.flavors.values()
              if flavor.gpu_models}  # fmt: skip
    serving = without(gpus, lab.drained_gpus) if lab.drained_gpus else gpus
    return Room(
        gpus=serving, max_sharers=lab.gpus.max_sharers, placement=lab.gpus.placement,
        models=models, kept=keeping(lab, serving, now), section_of=lab.section_name_of,
        meeting=meeting_now(lab, now), rule=lab.line,
        offer_for=timedelta(seconds=lab.policy.offer_s), shares=by_gpu(shares),
        in_time=in_time(shares, now),
    )  # fmt: skip


def room_now(tx: Connection, lab: Lab, hub_id: str, now: datetime) -> Room:
    """Read the room as it is now."""
    shares = kept_shares(tx, hub_id, now) if lab.reservations.are_taken else ()
    return room_of(lab, reads.gpu_uses(tx, hub_id), now, shares)


def the_line(tx: Connection, lab: Lab, hub_id: str, now: datetime) -> list[Waiter]:
    """Read who waits and has asked lately."""
    silent = timedelta(seconds=lab.policy.waiter_timeout_s)
    return reads.waiters(tx, hub_id, asked_since=now - silent)


def place_at(desk: Desk, lease: Lease, room: Room) -> Place:
    """Tell a request's place in the line."""
    if lease.gpu_uuid is not None:
        # An offer that is taken up: the slot is kept already.
        kept = next((gpu for gpu in room.gpus if gpu.uuid == lease.gpu_uuid), None)
        me = reads.waiter_of(lease, desk.account.name)
        # It is on the GPU already.
        yields = None if kept is None else room.others_kept(release(kept, me.ask), me, desk.now)
        return Place(position=1, of=1, slot=kept, kept=yields)
    if not room.gpus:
        return Place(position=1, of=1, slot=None)
    mine = {lease.id} if desk.place is None else {lease.id, desk.place.id}
    line = [one for one in desk.room().waiting if one.lease_id not in mine]
    return place_of(reads.waiter_of(lease, desk.account.name), line, room, now=desk.now)


def with_use(desk: Desk, lease: Lease) -> Lease:
    """Note with a request which part of their GPU-hours its holder has used; once."""
    if lease.used_permille is not None:
        return lease
    lab, section, account = desk.lab, desk.section, desk.account
    starts = week_starts(lab, section, desk.now)
    used = used_since(desk.tx, account.id, starts)
    used[0] += GpuTime.total(one.unposted(desk.now) for one in desk.leases)
    lots = reads.lots_since(desk.tx, account.id, starts[-1])
    part = part_used(lab, section, account.name, starts=starts, used=used, lots=lots)
    return replace(lease, used_permille=part)


def without_lost_offer(desk: Desk, lease: Lease, room: Room) -> Lease:
    """Give a kept place back whose GPU has been drained or lost since: it waits on."""
    gone = lease.gpu_uuid is not None and not any(
        gpu.uuid == lease.gpu_uuid and gpu.in_service for gpu in room.gpus
    )
    if not gone:
        return lease
    after = replace(lease, gpu_uuid=None, offered_at=None)
    writes.update_lease(desk.tx, lease, after)
    return after


def notice_of_yielding(desk: Desk, lease: Lease) -> list[Notice]:
    """Say at the start that the GPU is reserved later on, if the GPU-hours last until then."""
    at = lease.yields_at
    assert at is not None, "nothing to tell"
    lasts_ms = (desk.account.available(desk.now) + lease.hold).lasts_ms(lease.weight_mgpu)
    if ms_between(desk.now, at) > lasts_ms:
        return []
    zone = desk.section.zone if desk.section is not None else UTC
    return [Notice(account_id=lease.account_id, lease_id=lease.id, kind="warning",
                   text=yields_later_text(at.astimezone(zone), lease), at=desk.now)]  # fmt: skip
