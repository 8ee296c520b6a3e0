"""The waiting line: whose turn it is, and which place one has. Pure.

First come those who have reserved this time, then those who have waited long, then sections in
their co-working hours, then who has used the smaller part of their GPU-hours, then who came first.
Since only a reservation comes before waiting long, nobody is overtaken for ever.

Whoever fits into what those ahead leave free may go first (backfill), but a waiter who has waited
a while blocks one GPU for itself, so that small sessions cannot keep a whole-GPU session waiting.
Only a few GPUs are blocked at once, since what is blocked stands still until it is empty enough.
See docs/decisions/0014-the-waiting-line.md.
"""

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal, TypeAlias
from uuid import UUID

from quota.kept_shares import KeptShares, lacks_room, with_kept
from quota.lab_line import LinePolicy
from quota.placement import FULL_MGPU, Ask, GpuUse, choose, could_ever_fit, occupy
from quota.reserving import Keeping, Kept

WhyNot = Literal["all_taken", "reserved", "kept_for_larger"]
Gpus: TypeAlias = Mapping[str, GpuUse]

# Small differences of what people used are luck; the tenth of their hours that they are in counts.
_TENTH_PERMILLE = 100
# Of so many GPUs one may be kept free for large sessions; of fewer, one. Each that is kept free
# stands idle in part, and with one for every waiter everybody else waited for hours: see the
# placement benchmark in docs/measurements.md.
_GPUS_FOR_A_BLOCK = 8
# A session on a GPU that is kept for others soon has at least so long, after a place was kept.
_WORTH_STARTING = timedelta(minutes=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiter:
    """One place in the line. What was used is as it stood when the request was made."""

    lease_id: UUID
    ask: Ask
    requested_at: datetime
    flavor: str = ""
    account: str = ""
    used_permille: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The GPUs, the rule of placing on them, and the rules of the line."""

    gpus: tuple[GpuUse, ...]
    max_sharers: int
    placement: Literal["pack", "spread"]
    models: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """On which models a flavor may be placed, for flavors that name some."""
    kept: Keeping = field(default_factory=dict)
    """When which GPU is kept for a section."""
    shares: KeptShares = field(default_factory=dict)
    """Which share of which GPU is kept for a scholar, and when."""
    in_time: frozenset[str] = frozenset()
    """The scholars whose reserved time is on, and who do not use it yet."""
    section_of: Callable[[str], str | None] = lambda _: None
    meeting: frozenset[str] = frozenset()
    """The sections whose co-working hours are on."""
    rule: LinePolicy = field(default_factory=LinePolicy)
    offer_for: timedelta = timedelta(minutes=10)

    def ask_of(self, waiter: Waiter) -> Ask:
        """Tell what somebody needs now; the models follow the policy of now."""
        models = self.models.get(waiter.flavor, ())
        return replace(waiter.ask, models=models) if models else waiter.ask

    def others_time(self, account: str, gpu_uuid: str, now: datetime) -> Kept | None:
        """Return the time, on or to come, in which a GPU is kept for another section."""
        section = self.section_of(account)
        times = self.kept.get(gpu_uuid, ())
        return next((one for one in times if one.section != section and one.ends_at > now), None)

    def others_kept(self, gpu: GpuUse, waiter: Waiter, now: datetime) -> Kept | None:
        """Return the first time in which somebody who starts here now would be in others' way.

        On a GPU that is kept for another section then, or where a share that another scholar has
        reserved finds no room beside them.
        """
        hours = self.others_time(waiter.account, gpu.uuid, now)
        share = lacks_room(gpu, waiter.ask, self.shares.get(gpu.uuid, ()), waiter.account, now=now,
                           max_sharers=self.max_sharers)  # fmt: skip
        if share is None or (hours is not None and hours.starts_at <= share.starts_at):
            return hours
        return Kept(section="", title="", starts_at=share.starts_at, ends_at=share.ends_at,
                    reservation_id=share.reservation_id)  # fmt: skip

    def is_own_time(self, gpu: GpuUse, waiter: Waiter, now: datetime) -> bool:
        """Tell whether as much of a GPU as somebody asks for is kept for them now."""
        return any(
            one.account == waiter.account and one.covers(now) and one.is_enough_for(waiter.ask)
            for one in self.shares.get(gpu.uuid, ())
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where somebody stands: 1 is next. `slot` is a GPU when it is their turn.

    `kept` is the time in which that GPU, or the one that they could have otherwise, is kept for
    another section.
    """

    position: int
    of: int
    slot: GpuUse | None
    why_not: WhyNot = "all_taken"
    kept: Kept | None = None


def in_order(waiters: Iterable[Waiter], room: Room, *, now: datetime) -> list[Waiter]:
    """Sort the line; the id breaks ties, so that the order never flickers."""
    line = list(waiters)
    return sorted(line, key=lambda one: _rank(one, room, now)) if len(line) > 1 else line


def has_aged(waiter: Waiter, room: Room, *, now: datetime) -> bool:
    """Tell whether somebody has waited so long that nobody who came later goes first."""
    return now - waiter.requested_at >= timedelta(minutes=room.rule.aged_after_min)


def place_of(me: Waiter, waiters: Iterable[Waiter], room: Room, *, now: datetime) -> Place:
    """Tell my place, and the GPU I get now if those ahead leave me room."""
    line = in_order({*waiters, me}, room, now=now)
    mine = line.index(me)
    left = _after(line[:mine], room, now=now)
    slot = pick(left, me, room, now=now)
    if slot is None:
        return _turned_away(me, line, room, now=now)
    kept = room.others_kept(slot, me, now)
    return Place(position=mine + 1, of=len(line), slot=slot, kept=kept)


def next_served(
    waiters: Iterable[Waiter], among: Container[UUID], room: Room, *, now: datetime
) -> UUID | None:
    """Return the first of some in the line who gets a slot now: one walk, not one for each."""
    walking = walk(room, now)
    for waiter in in_order(waiters, room, now=now):
        if walking.give_way(waiter) is not None and waiter.lease_id in among:
            return waiter.lease_id
    return None


def pick(gpus: Gpus, waiter: Waiter, room: Room, *, now: datetime) -> GpuUse | None:
    """Choose a GPU for somebody: first of those kept for them now, then of those kept for nobody.

    Only then one that is kept for others later on, the later the better; the session has to end
    when that time begins.
    """
    ask = room.ask_of(waiter)
    if not room.kept and not room.shares:
        return choose(gpus.values(), ask, max_sharers=room.max_sharers, placement=room.placement)
    tiers: dict[tuple[int, timedelta], list[GpuUse]] = {}
    for gpu in gpus.values():
        tier = _tier(gpu, waiter, room, now)
        if tier is not None:
            tiers.setdefault(tier, []).append(gpu)
    for tier in sorted(tiers):
        found = choose(tiers[tier], ask, max_sharers=room.max_sharers, placement=room.placement)
        if found is not None:
            return found
    return None


def usable_by(account: str, room: Room, *, now: datetime) -> tuple[GpuUse, ...]:
    """Return the GPUs that somebody may use now, without what is kept for others now or soon."""
    soon, found = now + room.offer_for + _WORTH_STARTING, []
    for gpu in room.gpus:
        hours = room.others_time(account, gpu.uuid, now)
        if hours is None or hours.starts_at >= soon:
            shares = room.shares.get(gpu.uuid, ())
            found.append(with_kept(gpu, shares, account, now=now, until=soon))
    return tuple(found)


@dataclass(slots=True)
class Walk:
    """A walk along the line: what the GPUs look like behind those whom it has passed."""

    room: Room
    now: datetime
    gpus: dict[str, GpuUse]
    may_block: bool = True
    blocked: dict[tuple[str, ...], int] = field(default_factory=dict)

    def give_way(self, waiter: Waiter) -> GpuUse | None:
        """Take what somebody will take, and return the GPU; else keep one free for them."""
        slot = pick(self.gpus, waiter, self.room, now=self.now)
        if slot is not None:
            self.gpus[slot.uuid] = occupy(slot, waiter.ask)
        elif self.may_block:
            self.block(waiter)
        return slot

    def block(self, waiter: Waiter) -> None:
        """Let nobody behind onto the GPU that will be free for this waiter first: the emptiest."""
        waited, ask = self.now - waiter.requested_at, self.room.ask_of(waiter)
        most = max(1, len(self.room.gpus) // _GPUS_FOR_A_BLOCK)
        so_far = self.blocked.get(ask.models, 0)
        if waited < timedelta(minutes=self.room.rule.block_after_min) or so_far >= most:
            return
        able = [gpu for gpu in self.gpus.values() if could_ever_fit((gpu,), ask)]
        able = [gpu for gpu in able if gpu.used_mgpu < FULL_MGPU]
        if able:
            emptiest = min(able, key=lambda gpu: (gpu.used_mgpu, gpu.uuid))
            self.gpus[emptiest.uuid] = occupy(emptiest, Ask(FULL_MGPU - emptiest.used_mgpu, 0))
            self.blocked[ask.models] = so_far + 1


def walk(room: Room, now: datetime, *, may_block: bool = True) -> Walk:
    """Begin a walk with the GPUs as they are."""
    return Walk(room, now, {gpu.uuid: gpu for gpu in room.gpus}, may_block)


def _rank(waiter: Waiter, room: Room, now: datetime) -> tuple[int, int, datetime, UUID]:
    if waiter.account in room.in_time:
        return (-1, 0, waiter.requested_at, waiter.lease_id)
    if has_aged(waiter, room, now=now):
        return (0, 0, waiter.requested_at, waiter.lease_id)
    is_meeting = room.rule.co_working_first and room.section_of(waiter.account) in room.meeting
    tenth = waiter.used_permille // _TENTH_PERMILLE if room.rule.fair_share else 0
    return (1 if is_meeting else 2, tenth, waiter.requested_at, waiter.lease_id)


def _tier(gpu: GpuUse, waiter: Waiter, room: Room, now: datetime) -> tuple[int, timedelta] | None:
    """Return how good a GPU is by what it is kept for; None when it may not be used."""
    if room.shares and room.is_own_time(gpu, waiter, now):
        return (0, timedelta(0))
    times = room.kept.get(gpu.uuid, ())
    others = room.others_kept(gpu, waiter, now)
    if others is not None and others.starts_at - now < room.offer_for + _WORTH_STARTING:
        return None
    section = room.section_of(waiter.account)
    if any(one.section == section and one.covers(now) for one in times):
        return (0, timedelta(0))
    return (1, timedelta(0)) if others is None else (2, now - others.starts_at)


def _after(
    ahead: Iterable[Waiter], room: Room, *, now: datetime, may_block: bool = True
) -> dict[str, GpuUse]:
    walking = walk(room, now, may_block=may_block)
    for waiter in ahead:
        walking.give_way(waiter)
    return walking.gpus


def _turned_away(me: Waiter, line: list[Waiter], room: Room, *, now: datetime) -> Place:
    """Say where somebody stands who gets nothing now, and why."""
    mine = line.index(me)
    ahead, place = line[:mine], Place(position=mine + 1, of=len(line), slot=None)
    all_free = replace(room, kept={}, shares={})
    if pick({gpu.uuid: gpu for gpu in room.gpus}, me, all_free, now=now) is None:
        return place
    if pick(_after(ahead, room, now=now, may_block=False), me, room, now=now) is not None:
        return replace(place, why_not="kept_for_larger")
    free = pick(_after(ahead, room, now=now), me, all_free, now=now)
    if free is not None:
        kept = room.others_kept(free, me, now)
        return replace(place, why_not="reserved", kept=kept)
    return place
