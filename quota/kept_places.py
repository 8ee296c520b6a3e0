"""A place in the line that is kept for somebody who starts on a CPU meanwhile.

It stays in the line as long as they have another session; the worker asks for it at each tick, as
a waiting page would. When its turn comes a GPU is kept for ten minutes (policy), and whatever GPU
session its holder starts takes the place up.
See docs/decisions/0016-a-place-that-is-kept.md.
"""

from dataclasses import replace
from datetime import UTC, timedelta

from quota.desk import Desk
from quota.errors import NoSuchLease, Refusal
from quota.leases import KEPT_PLACE, Lease, ended
from quota.reconcile import Notice, NoticeKind
from quota.store import writes
from quota.turns import without_lost_offer
from quota.waiting import Room
from quota.wording import place_refused_text, turn_text


def keep(desk: Desk, lease: Lease | None) -> Lease:
    """Take a waiting request off its server, and keep its place.

    Raises:
        NoSuchLease: it does not wait.

    """
    if lease is None or lease.account_id != desk.account.id or lease.state != "waiting":
        raise NoSuchLease("This session does not wait any more.")
    after = replace(lease, server_name=KEPT_PLACE, asked_at=desk.now)
    writes.update_lease(desk.tx, lease, after)
    return after


def take_up(desk: Desk, lease: Lease, room: Room) -> Lease:
    """Give a new request for a GPU the place that its holder has kept, if it is for this flavor.

    Nothing is written but the loss of a GPU: a request that is refused leaves the place as it is.
    """
    kept = next((one for one in desk.leases if one.keeps_place), None)
    if kept is None:
        return lease
    desk.place = without_lost_offer(desk, kept, room)
    desk.leases = [one for one in desk.leases if one.id != kept.id]
    if desk.place.flavor != lease.flavor:
        return lease
    place = desk.place
    return replace(
        lease, requested_at=place.requested_at, used_permille=place.used_permille,
        gpu_uuid=place.gpu_uuid, offered_at=place.offered_at, share_mgpu=place.share_mgpu,
        memory_mib=place.memory_mib,
    )  # fmt: skip


def hand_over(desk: Desk, lease: Lease) -> None:
    """End the place that a new request has taken up; a GPU kept for it goes on with that."""
    place = desk.place
    if place is None:
        return
    # For another flavor the slot is given back, for the same it is the new lease's from now on.
    before = place if lease.flavor != place.flavor else replace(place, gpu_uuid=None)
    writes.update_lease(desk.tx, before, ended(place, reason="taken_up", at=desk.now))
    desk.place = None


def tell_turn(desk: Desk, lease: Lease) -> None:
    """Tell the holder of a kept place that their turn has come, and until when."""
    until = desk.now + timedelta(seconds=desk.lab.policy.offer_s)
    zone = desk.section.zone if desk.section is not None else UTC
    _tell(desk, lease, "turn", turn_text(lease, until.astimezone(zone)))


def tell_refusal(desk: Desk, lease: Lease, refusal: Refusal) -> None:
    """Tell the holder of a kept place that it is given up, and why."""
    _tell(desk, lease, "stopped", place_refused_text(lease, refusal.message))


def _tell(desk: Desk, lease: Lease, kind: NoticeKind, text: str) -> None:
    notice = Notice(account_id=lease.account_id, lease_id=lease.id, kind=kind, text=text,
                    at=desk.now)  # fmt: skip
    writes.save_notices(desk.tx, [notice])
