"""The law of reservations: whoever comes in their time starts at once, whatever others did."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quota import waiting
from quota.kept_shares import (
    KeptShare,
    Occupant,
    Plan,
    Wish,
    by_gpu,
    in_time,
    lacks_room,
    place_share,
    yields_of,
)
from quota.placement import Ask, GpuUse, occupy
from quota.reserving import Kept
from quota.waiting import Room, Waiter, pick
from tests.quota.books import NOON, gpu

STEP = timedelta(minutes=10)
NOTICE = timedelta(minutes=60)
MOST_SHARERS = 3
ASKS = (Ask(250, 4096), Ask(500, 8192), Ask(1000, 16_384))
# GPU-1 is a section's for an hour.
HOURS = Kept(section="x", title="X", starts_at=NOON + 12 * STEP, ends_at=NOON + 18 * STEP)
DEEDS = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "start", "start", "end", "withdraw", "wait"]),
        st.sampled_from("abcdef"), st.sampled_from(ASKS), st.integers(0, 14), st.integers(3, 9),
    ),
    min_size=12, max_size=45,
)  # fmt: skip
Deed = tuple[str, str, Ask, int, int]


@dataclass
class World:
    """GPUs, who is on them, and what is reserved, moved on by the pure rules alone."""

    now: datetime = NOON
    sessions: dict[str, Occupant] = field(default_factory=dict)
    shares: dict[str, KeptShare] = field(default_factory=dict)
    made: int = 0

    def do(self, deed: Deed) -> None:
        kind, who, ask, ahead, length = deed
        if kind == "reserve" and who not in self.shares:
            self.reserve(who, ask, self.now + ahead * STEP, length * STEP)
        elif kind == "start" and who not in self.sessions:
            self.start(who, ask)
        elif kind == "end":
            self.sessions.pop(who, None)
        elif kind == "withdraw":
            self.shares.pop(who, None)

    def go(self) -> None:
        """Let a step pass: the worker tells who has to make room, and ends who is late."""
        self.now += STEP
        self.shares = {who: one for who, one in self.shares.items() if one.ends_at > self.now}
        for one in self.gpus():
            here = [x for x in self.sessions.values() if x.gpu_uuid == one.uuid]
            mine = [x for x in self.seen() if x.gpu_uuid == one.uuid]
            ordered = by_gpu(mine).get(one.uuid, ())
            for change in yields_of(here, one, ordered, self.window, now=self.now,
                                    notice_until=self.now + NOTICE,
                                    max_sharers=MOST_SHARERS):  # fmt: skip
                (who,) = [x.account for x in here if x.lease_id == change.lease_id]
                assert change.at is None or change.at > self.now, "nobody is told too late"
                self.sessions[who] = replace(
                    self.sessions[who], yields_at=change.at, yields_to=change.to
                )
        self.sessions = {
            who: one for who, one in self.sessions.items()
            if one.yields_at is None or one.yields_at > self.now
        }  # fmt: skip
        # Who has a session elsewhere when their time is on has no use for it.
        self.shares = {
            who: one for who, one in self.shares.items()
            if not one.covers(self.now) or who not in self.sessions or self.is_taken(one)
        }  # fmt: skip

    def reserve(self, who: str, ask: Ask, starts_at: datetime, length: timedelta) -> None:
        wish = Wish(ask=ask, starts_at=max(starts_at, self.now + STEP),
                    ends_at=max(starts_at, self.now + STEP) + length)  # fmt: skip
        plan = Plan(
            gpus=self.gpus(), shares=by_gpu(self.shares.values()), kept={"GPU-1": (HOURS,)},
            occupants=list(self.sessions.values()), free_from=self.now + NOTICE,
            max_sharers=MOST_SHARERS,
        )  # fmt: skip
        uuid = place_share(wish, plan)
        if uuid is None:
            return
        meets = wish.starts_at < HOURS.ends_at and HOURS.starts_at < wish.ends_at
        assert not (uuid == "GPU-1" and meets), "co-working hours come before"
        self.made += 1
        self.shares[who] = KeptShare(
            reservation_id=UUID(int=self.made), account=who, gpu_uuid=uuid, ask=ask,
            starts_at=wish.starts_at, ends_at=wish.ends_at,
        )  # fmt: skip

    def start(self, who: str, ask: Ask) -> None:
        me = waiter(who, ask)
        slot = pick({one.uuid: one for one in self.gpus()}, me, self.room(), now=self.now)
        if slot is None:
            return
        others = self.room().others_kept(slot, me, self.now)
        self.made += 1
        self.sessions[who] = Occupant(
            lease_id=UUID(int=self.made), account=who, gpu_uuid=slot.uuid, ask=ask,
            held_at=self.now, yields_at=None if others is None else others.starts_at,
            yields_to=None if others is None else others.reservation_id,
        )  # fmt: skip

    def check(self) -> None:
        for one in self.gpus():
            assert one.used_mgpu <= 1000
            assert one.used_mib <= one.memory_mib
            assert one.sharers <= MOST_SHARERS
        gpus, room = {one.uuid: one for one in self.gpus()}, self.room()
        # All who come in their time get their place, one after the other.
        for who, share in self.shares.items():
            if share.covers(self.now) and who not in self.sessions:
                slot = pick(gpus, waiter(who, share.ask), room, now=self.now)
                assert slot is not None, (who, share, self.sessions)
                gpus[slot.uuid] = occupy(gpus[slot.uuid], share.ask)

    # -- as it is seen -------------------------------------------------------------------------

    def gpus(self) -> tuple[GpuUse, ...]:
        found = {f"GPU-{number}": gpu(f"GPU-{number}") for number in range(2)}
        for one in self.sessions.values():
            found[one.gpu_uuid] = occupy(found[one.gpu_uuid], one.ask)
        return tuple(found.values())

    def is_taken(self, share: KeptShare) -> bool:
        one = self.sessions.get(share.account)
        return one is not None and one.gpu_uuid == share.gpu_uuid and (
            one.ask.share_mgpu >= share.ask.share_mgpu)  # fmt: skip

    def seen(self) -> list[KeptShare]:
        return [replace(one, is_taken=self.is_taken(one)) for one in self.shares.values()]

    def window(self, _account: str) -> datetime | None:
        return None

    def room(self) -> Room:
        shares = self.seen()
        return Room(
            gpus=self.gpus(), max_sharers=MOST_SHARERS, placement="pack", kept={"GPU-1": (HOURS,)},
            shares=by_gpu(shares), in_time=in_time(shares, self.now),
        )  # fmt: skip


def waiter(who: str, ask: Ask) -> Waiter:
    return Waiter(lease_id=UUID(int=ord(who)), ask=ask, requested_at=NOON, account=who)


def play(deeds: Sequence[Deed]) -> None:
    world = World()
    for deed in deeds:
        world.do(deed)
        world.go()
        world.check()


@given(DEEDS)
@settings(max_examples=60, deadline=None)
def test_p03_whoever_comes_in_their_time_starts_and_no_gpu_holds_too_much(
    deeds: list[Deed],
) -> None:
    play(deeds)


# a reserves for two steps on, b takes the whole of that GPU, c the other.
CROWD: list[Deed] = [
    ("reserve", "a", ASKS[2], 5, 6), ("start", "b", ASKS[2], 0, 3), ("start", "c", ASKS[2], 0, 3),
    *(("wait", "a", ASKS[0], 0, 3) for _ in range(6)),
]  # fmt: skip


def test_the_law_would_be_seen_to_be_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: without both halves of the rule the same story breaks the law."""
    play(CROWD)
    monkeypatch.setattr(waiting, "lacks_room", lambda *_args, **_more: None)
    monkeypatch.setitem(play.__globals__, "yields_of", lambda *_args, **_more: [])
    with pytest.raises(AssertionError):
        play(CROWD)


def test_nobody_is_told_twice_and_who_came_first_stays() -> None:
    here = [Occupant(lease_id=UUID(int=n), account=f"s{n}", gpu_uuid="GPU-0", ask=ASKS[1],
                     held_at=NOON - n * STEP) for n in (1, 2)]  # fmt: skip
    share = KeptShare(reservation_id=UUID(int=9), account="a", gpu_uuid="GPU-0", ask=ASKS[0],
                      starts_at=NOON + STEP, ends_at=NOON + 4 * STEP)  # fmt: skip

    def told(occupants: list[Occupant], *shares: KeptShare) -> list[tuple[int, datetime | None]]:
        found = yields_of(occupants, gpu("GPU-0"), shares, lambda _: None, now=NOON,
                          notice_until=NOON + STEP, max_sharers=4)  # fmt: skip
        return [(one.lease_id.int, one.at) for one in found]

    assert told(here, share) == [(1, share.starts_at)], "the last to come goes"
    after = [replace(here[0], yields_at=share.starts_at, yields_to=share.reservation_id), here[1]]
    assert told(after, share) == []
    assert told(after) == [(1, None)]
    assert told(here, replace(share, starts_at=NOON + 2 * STEP)) == [], "not before its time"
    # Who is there already is not told to make room for themselves, nor others for them.
    early = replace(here[1], lease_id=UUID(int=3), account="a", ask=ASKS[0], held_at=NOON)
    taken = replace(share, is_taken=True)
    assert told([here[1], early], taken) == []
    assert told([*here, early], taken) == [(1, share.starts_at)]
    # In their own time the last to come stays, and somebody else makes room for the next.
    late = replace(share, reservation_id=UUID(int=8), account="b", ask=ASKS[1])
    assert told([here[1], early], taken, late) == [(2, share.starts_at)]


def test_what_is_kept_at_the_same_time_is_counted_together_and_after_each_other_not() -> None:
    first = KeptShare(reservation_id=UUID(int=1), account="a", gpu_uuid="GPU-0", ask=ASKS[1],
                      starts_at=NOON + STEP, ends_at=NOON + 3 * STEP)  # fmt: skip
    second = replace(first, reservation_id=UUID(int=2), account="b", starts_at=NOON + 2 * STEP)

    def found(*shares: KeptShare) -> KeptShare | None:
        return lacks_room(gpu("GPU-0"), ASKS[0], shares, "c", now=NOON, max_sharers=4)

    assert found(first) is None
    assert found(first, second) == second
    assert found(first, replace(second, starts_at=first.ends_at)) is None
    assert found(first, replace(second, account="c")) is None
    assert found(replace(first, is_taken=True), second) is None
    # In one's own time others are in nobody's way: they fit together, or were not both kept.
    own = replace(second, account="c", ask=ASKS[0], ends_at=NOON + 9 * STEP)
    third = replace(
        first, reservation_id=UUID(int=3), starts_at=own.starts_at, ends_at=own.ends_at
    )
    full = occupy(gpu("GPU-0"), ASKS[1])
    for shares, blocks in (((third,), third), ((own, third), None), ((first, own), first)):
        found_by = lacks_room(full, ASKS[0], shares, "c", now=NOON, max_sharers=4)
        assert found_by == blocks
