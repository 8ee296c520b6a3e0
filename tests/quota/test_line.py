"""Placement and the waiting line: never over-committed, in order, nobody starves."""

from dataclasses import replace
from datetime import timedelta
from typing import Literal
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from quota.placement import (
    FULL_MGPU,
    Ask,
    GpuUse,
    choose,
    could_ever_fit,
    count_slots,
    fits,
    occupy,
    release,
)
from quota.waiting import BACKFILL_FOR, Room, Running, Waiter, estimate, in_order, place_of
from tests.quota.books import NOON, gpu

MINUTE = timedelta(minutes=1)
ASKS = st.sampled_from([Ask(142, 2000), Ask(250, 4096), Ask(333, 1), Ask(500, 12_000),
                        Ask(1000, 16_384), Ask(1, 16_384)])  # fmt: skip
PLACEMENTS = st.sampled_from(["pack", "spread"])


def gpus_of(count: int) -> list[GpuUse]:
    return [gpu(f"GPU-{number}") for number in range(count)]


@given(st.lists(st.tuples(ASKS, st.booleans()), max_size=40), st.integers(1, 4), st.integers(1, 5),
       PLACEMENTS)  # fmt: skip
def test_no_gpu_ever_holds_more_than_itself(
    steps: list[tuple[Ask, bool]], count: int, sharers: int, placement: Literal["pack", "spread"]
) -> None:
    gpus, placed = {one.uuid: one for one in gpus_of(count)}, list[tuple[str, Ask]]()
    for ask, is_arrival in steps:
        if not is_arrival and placed:
            uuid, gone = placed.pop()
            gpus[uuid] = release(gpus[uuid], gone)
            continue
        slot = choose(gpus.values(), ask, max_sharers=sharers, placement=placement)
        assert (slot is not None) == any(fits(one, ask, sharers) for one in gpus.values())
        if slot is not None:
            gpus[slot.uuid] = occupy(slot, ask)
            placed.append((slot.uuid, ask))
        for one in gpus.values():
            mine = [ask for uuid, ask in placed if uuid == one.uuid]
            assert one.used_mgpu == sum(ask.share_mgpu for ask in mine) <= FULL_MGPU
            assert one.used_mib == sum(ask.memory_mib for ask in mine) <= one.memory_mib
            assert one.sharers == len(mine) <= sharers


@given(ASKS, st.lists(ASKS, max_size=6), st.integers(1, 5))
def test_as_many_fit_as_are_counted(ask: Ask, others: list[Ask], sharers: int) -> None:
    gpus = {one.uuid: one for one in gpus_of(2)}
    for other in others:
        slot = choose(gpus.values(), other, max_sharers=sharers, placement="pack")
        if slot is not None:
            gpus[slot.uuid] = occupy(slot, other)
    free, total = count_slots(gpus.values(), ask, sharers)
    fitted = 0
    while (slot := choose(gpus.values(), ask, max_sharers=sharers, placement="pack")) is not None:
        gpus[slot.uuid] = occupy(slot, ask)
        fitted += 1
    assert fitted == free <= total


def test_pack_fills_one_gpu_and_spread_takes_the_emptiest() -> None:
    some = gpus_of(2)
    some[1] = occupy(some[1], Ask(250, 100))
    packed = choose(some, Ask(250, 1), max_sharers=4, placement="pack")
    spread = choose(some, Ask(250, 1), max_sharers=4, placement="spread")
    assert packed is not None
    assert spread is not None
    assert (packed.uuid, spread.uuid) == ("GPU-1", "GPU-0")


def test_a_gpu_out_of_service_takes_nobody() -> None:
    drained = [replace(one, in_service=False) for one in gpus_of(2)]
    assert choose(drained, Ask(1, 1), max_sharers=4, placement="pack") is None
    assert not could_ever_fit(drained, Ask(1, 1))
    assert count_slots(drained, Ask(1, 1), 4) == (0, 0)
    assert count_slots(gpus_of(1), Ask(0, 0), 4) == (4, 4)


# -- the line -----------------------------------------------------------------------------------


def waiter(number: int, ask: Ask, minutes_ago: int) -> Waiter:
    return Waiter(lease_id=UUID(int=number), ask=ask, requested_at=NOON - minutes_ago * MINUTE)


def room(gpus: list[GpuUse]) -> Room:
    return Room(gpus=tuple(gpus), max_sharers=4, placement="pack")


@given(st.lists(st.tuples(ASKS, st.integers(0, 30)), min_size=1, max_size=8), st.integers(0, 1000))
def test_who_is_told_to_start_fits_together_with_all_who_are(
    asks: list[tuple[Ask, int]], used: int
) -> None:
    gpus = [occupy(gpu("GPU-0"), Ask(used, 0)), gpu("GPU-1")]
    line = [waiter(number, ask, ago) for number, (ask, ago) in enumerate(asks)]
    left = {one.uuid: one for one in gpus}
    for position, one in enumerate(in_order(line), start=1):
        place = place_of(one, line, room(gpus), now=NOON)
        assert (place.position, place.of) == (position, len(line))
        if place.slot is not None:
            assert fits(left[place.slot.uuid], one.ask, 4)
            left[place.slot.uuid] = occupy(left[place.slot.uuid], one.ask)


def test_the_order_is_by_time_then_id_and_never_flickers() -> None:
    some = [waiter(2, Ask(1, 1), 5), waiter(1, Ask(1, 1), 5), waiter(3, Ask(1, 1), 9)]
    assert [one.lease_id.int for one in in_order(some)] == [3, 1, 2]


def test_small_sessions_go_first_only_until_a_large_one_has_waited_long() -> None:
    """Two GPUs, each half taken: a whole-GPU waiter is ahead of a small one."""
    gpus = [occupy(one, Ask(500, 8192)) for one in gpus_of(2)]
    small = waiter(2, Ask(250, 4096), 1)
    for minutes, may_go in ((14, True), (15, True)):
        ahead = waiter(1, Ask(1000, 16_384), minutes)
        place = place_of(small, [ahead, small], room(gpus), now=NOON)
        assert (place.slot is not None) == may_go, "one GPU is blocked, the other is not"
    one_gpu = room(gpus[:1])
    young, old = waiter(1, Ask(1000, 16_384), 14), waiter(1, Ask(1000, 16_384), 15)
    assert place_of(small, [young, small], one_gpu, now=NOON).slot is not None
    assert place_of(small, [old, small], one_gpu, now=NOON).slot is None
    assert timedelta(minutes=15) == BACKFILL_FOR


@given(st.lists(st.tuples(ASKS, st.integers(1, 600)), max_size=8),
       st.lists(ASKS, max_size=4), ASKS)  # fmt: skip
def test_the_estimate_is_the_first_end_after_which_it_is_my_turn(
    sessions: list[tuple[Ask, int]], ahead: list[Ask], mine: Ask
) -> None:
    gpus, running = {one.uuid: one for one in gpus_of(2)}, list[Running]()
    for ask, minutes in sessions:
        slot = choose(gpus.values(), ask, max_sharers=4, placement="pack")
        if slot is not None:
            gpus[slot.uuid] = occupy(slot, ask)
            running.append(Running(gpu_uuid=slot.uuid, ask=ask, ends_at=NOON + minutes * MINUTE))
    line = [waiter(number, ask, 5) for number, ask in enumerate(ahead)]
    me, now = waiter(99, mine, 1), room(list(gpus.values()))
    found = estimate(me, line, running, now, now=NOON)
    for end in sorted({one.ends_at for one in running if one.ends_at}):
        left = dict(gpus)
        for one in running:
            if one.ends_at is not None and one.ends_at <= end:
                left[one.gpu_uuid] = release(left[one.gpu_uuid], one.ask)
        if place_of(me, line, room(list(left.values())), now=NOON).slot is not None:
            assert found is not None
            assert found <= end
            return
    # With a single end at a time the brute force finds what the estimate finds.
    assert found is None or len({one.ends_at for one in running}) < len(running)


def test_nobody_knows_when_sessions_without_an_end_will_end() -> None:
    full = occupy(gpu("GPU-0"), Ask(1000, 1))
    endless = [Running(gpu_uuid="GPU-0", ask=Ask(1000, 1), ends_at=None),
               Running(gpu_uuid="gone", ask=Ask(1, 1), ends_at=NOON)]  # fmt: skip
    me = waiter(1, Ask(1000, 1), 0)
    assert estimate(me, [], endless, room([full]), now=NOON) is None
    past = [Running(gpu_uuid="GPU-0", ask=Ask(1000, 1), ends_at=NOON - MINUTE)]
    assert estimate(me, [], past, room([full]), now=NOON) == NOON
