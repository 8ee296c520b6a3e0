"""Which share of which GPU is kept for which scholar, and when: what was reserved ahead. Pure.

A share that is kept takes no place until its time comes. Whoever else starts on that GPU before
then either leaves room for it or has to be gone when it begins; who would have to go too soon is
not put there. See docs/decisions/0019-reservations.md.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from quota.placement import FULL_MGPU, Ask, GpuUse, occupy, suits
from quota.reserving import Keeping, Kept


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptShare:
    """A share of a GPU that is kept for a scholar in [starts_at, ends_at).

    It `is_taken` while its scholar has at least as much of this very GPU.
    """

    reservation_id: UUID
    account: str
    gpu_uuid: str
    ask: Ask
    starts_at: datetime
    ends_at: datetime
    is_taken: bool = False

    def covers(self, at: datetime) -> bool:
        """Tell whether an instant lies inside."""
        return self.starts_at <= at < self.ends_at

    def is_enough_for(self, ask: Ask) -> bool:
        """Tell whether it is as much as somebody asks for."""
        return ask.share_mgpu <= self.ask.share_mgpu and ask.memory_mib <= self.ask.memory_mib


KeptShares: TypeAlias = Mapping[str, tuple[KeptShare, ...]]
"""For each GPU what is kept of it, in the order of the starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupant:
    """A session on a GPU: whose, how much of it, since when, and when it has to be gone."""

    lease_id: UUID
    account: str
    gpu_uuid: str
    ask: Ask
    held_at: datetime
    yields_at: datetime | None = None
    yields_to: UUID | None = None


def by_gpu(shares: Iterable[KeptShare]) -> dict[str, tuple[KeptShare, ...]]:
    """Put what is kept in order."""
    found: dict[str, tuple[KeptShare, ...]] = {}
    for one in sorted(shares, key=lambda share: (share.starts_at, share.reservation_id)):
        found[one.gpu_uuid] = (*found.get(one.gpu_uuid, ()), one)
    return found


def in_time(shares: Iterable[KeptShare], now: datetime) -> frozenset[str]:
    """Name the scholars whose time is on and who do not use it yet."""
    return frozenset(one.account for one in shares if one.covers(now) and not one.is_taken)


def lacks_room(
    gpu: GpuUse, ask: Ask, shares: Sequence[KeptShare], account: str, *, now: datetime,
    max_sharers: int,
) -> KeptShare | None:  # fmt: skip
    """Return the first kept share that would find no room beside `ask` and all that is there.

    What is kept for `account` itself is in nobody's way, and in that time others are not in its:
    they fit together, or they would not both be kept. `shares` are of this GPU, in order.
    """
    meanwhile: list[KeptShare] = []
    own = [one for one in shares if one.account == account and one.is_enough_for(ask)]
    for one in shares:
        if one.account == account or one.is_taken or one.ends_at <= now:
            continue
        at = max(one.starts_at, now)
        meanwhile = [*(other for other in meanwhile if other.ends_at > at), one]
        if any(mine.covers(at) for mine in own):
            continue
        if not _has_room(gpu, [ask, *(other.ask for other in meanwhile)], max_sharers):
            return one
    return None


def with_kept(
    gpu: GpuUse, shares: Iterable[KeptShare], account: str, *, now: datetime, until: datetime
) -> GpuUse:
    """Return the GPU as it is for somebody who has to leave what others have reserved by then."""
    for one in shares:
        is_others = one.account != account and not one.is_taken
        if is_others and one.starts_at < until and one.ends_at > now:
            gpu = occupy(gpu, one.ask)
    return gpu


# -- making a reservation ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A share that somebody would like to have in [starts_at, ends_at)."""

    ask: Ask
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What there is to reserve on: GPUs, what is kept of them, and who is on them.

    `kept` are the times of sections around the wish. Sessions that run now count where a wish
    begins before `free_from`: they are not told to go so soon.
    """

    gpus: tuple[GpuUse, ...]
    shares: KeptShares
    kept: Keeping
    occupants: Sequence[Occupant]
    free_from: datetime
    max_sharers: int


def place_share(wish: Wish, plan: Plan) -> str | None:
    """Choose the GPU on which a wish can be kept, the fullest at that time; None where none can.

    It is never put where a section's co-working hours or other reservations leave no room.
    """
    found = []
    for gpu in plan.gpus:
        if not gpu.in_service or not suits(gpu.name, wish.ask.models):
            continue
        if any(_meets(wish, one) for one in plan.kept.get(gpu.uuid, ())):
            continue
        most = _most_taken(wish, gpu, plan)
        if most is not None:
            found.append((-most, gpu.uuid))
    return min(found)[1] if found else None


def moments_to_try(plan: Plan, wish: Wish, until: datetime) -> Iterator[datetime]:
    """List when more may be free than at the wish's start: what is kept ends, sessions may go."""
    ends = {one.ends_at for some in plan.shares.values() for one in some}
    ends |= {one.ends_at for some in plan.kept.values() for one in some}
    ends.add(plan.free_from)
    yield from sorted(at for at in ends if wish.starts_at < at <= until)


def _most_taken(wish: Wish, gpu: GpuUse, plan: Plan) -> int | None:
    """Return how much is taken at most while the wish lasts; None where it does not fit."""
    empty = replace(gpu, used_mgpu=0, used_mib=0, sharers=0)
    if wish.starts_at < plan.free_from:
        for one in plan.occupants:
            goes = one.yields_at is not None and one.yields_at <= wish.starts_at
            if one.gpu_uuid == gpu.uuid and not goes:
                empty = occupy(empty, one.ask)
    others = [one for one in plan.shares.get(gpu.uuid, ()) if _meets(wish, one)]
    most = 0
    for at in {wish.starts_at, *(max(one.starts_at, wish.starts_at) for one in others)}:
        asks = [wish.ask, *(one.ask for one in others if one.covers(at))]
        if not _has_room(empty, asks, plan.max_sharers):
            return None
        most = max(most, sum(one.share_mgpu for one in asks))
    return most


# -- making room in time -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Yield:
    """From when a session has to be gone, and for which reservation; None sets it free."""

    lease_id: UUID
    at: datetime | None
    to: UUID | None


def yields_of(
    occupants: Iterable[Occupant], gpu: GpuUse, shares: Sequence[KeptShare],
    window_of: Callable[[str], datetime | None], *, now: datetime, notice_until: datetime,
    max_sharers: int,
) -> list[Yield]:  # fmt: skip
    """Tell which sessions on one GPU have to go when, where that is not what they were told.

    Who came first stays. Nobody is told earlier than they need to be: only for what begins by
    `notice_until`. Who was told to go for something that is kept no more is set free, up to the
    time in which the GPU is another section's: `window_of` an account.
    """
    before = sorted(occupants, key=lambda one: (one.held_at, one.lease_id))
    there = {one.reservation_id for one in shares}
    after = [
        one if one.yields_to is None or one.yields_to in there
        else replace(one, yields_at=window_of(one.account), yields_to=None)
        for one in before
    ]  # fmt: skip
    for share in shares:
        if now < share.starts_at <= notice_until:
            going = _too_many(after, gpu, shares, share, max_sharers)
            after = [
                replace(one, yields_at=share.starts_at, yields_to=share.reservation_id)
                if one.lease_id in going else one
                for one in after
            ]  # fmt: skip
    return [
        Yield(lease_id=new.lease_id, at=new.yields_at, to=new.yields_to)
        for old, new in zip(before, after, strict=True) if old != new
    ]  # fmt: skip


def _too_many(
    stay: Iterable[Occupant], gpu: GpuUse, shares: Iterable[KeptShare], share: KeptShare,
    max_sharers: int,
) -> Collection[UUID]:  # fmt: skip
    """Name the sessions for which there is no room when a share begins, the last to come."""
    # A scholar who is there already has what is kept for them, and is told only of the rest.
    kept = {one.account: one.ask for one in shares if one.covers(share.starts_at)}
    others: list[Ask] = []
    met: set[str] = set()
    found = set()
    empty = replace(gpu, used_mgpu=0, used_mib=0, sharers=0)
    for one in stay:
        if one.yields_at is not None and one.yields_at <= share.starts_at:
            continue
        more, rest = kept, [*others, one.ask]
        if one.account in kept and one.account not in met:
            met.add(one.account)
            more, rest = {**kept, one.account: _most(kept[one.account], one.ask)}, others
        if _has_room(empty, [*more.values(), *rest], max_sharers):
            kept, others = more, rest
        else:
            found.add(one.lease_id)
    return found


def _most(one: Ask, other: Ask) -> Ask:
    return Ask(max(one.share_mgpu, other.share_mgpu), max(one.memory_mib, other.memory_mib))


def _has_room(gpu: GpuUse, asks: Sequence[Ask], max_sharers: int) -> bool:
    """Tell whether all of these fit beside what is on a GPU."""
    return (
        gpu.used_mgpu + sum(one.share_mgpu for one in asks) <= FULL_MGPU
        and gpu.used_mib + sum(one.memory_mib for one in asks) <= gpu.memory_mib
        and gpu.sharers + len(asks) <= gpu.most_sharers(max_sharers)
    )


def _meets(wish: Wish, other: KeptShare | Kept) -> bool:
    return other.starts_at < wish.ends_at and wish.starts_at < other.ends_at
