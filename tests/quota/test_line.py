"""Placement and the waiting line: never over-committed, in order, nobody starves."""

from dataclasses import replace
from datetime import timedelta
from typing import Literal
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from quota.lab_line import LinePolicy
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
from quota.waiting import Room, Waiter, in_order, next_served, place_of
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
    for position, one in enumerate(in_order(line, room(gpus), now=NOON), start=1):
        place = place_of(one, line, room(gpus), now=NOON)
        assert (place.position, place.of) == (position, len(line))
        if place.slot is not None:
            assert fits(left[place.slot.uuid], one.ask, 4)
            left[place.slot.uuid] = occupy(left[place.slot.uuid], one.ask)


ROSTER = {"ada": "west", "dina": "east"}
LINE = st.lists(
    st.tuples(st.sampled_from(["ada", "dina", "guest"]), st.integers(0, 2000), st.integers(0, 90)),
    min_size=2, max_size=8,
)  # fmt: skip


def meeting(*sections: str, **rule: object) -> Room:
    """Sections in their co-working hours, in a room without GPUs."""
    return replace(room([]), section_of=ROSTER.get, meeting=frozenset(sections),
                   rule=LinePolicy.model_validate(rule))  # fmt: skip


def person(number: int, who: str, used: int, minutes_ago: int) -> Waiter:
    return replace(waiter(number, Ask(1, 1), minutes_ago), account=who, used_permille=used)


def order(some: list[Waiter], where: Room) -> list[int]:
    return [one.lease_id.int for one in in_order(some, where, now=NOON)]


def test_the_order_is_by_class_then_use_then_time_then_id() -> None:
    some = [
        person(1, "ada", 0, 59), person(2, "dina", 990, 1), person(3, "guest", 0, 60),
        person(4, "ada", 449, 5), person(5, "ada", 400, 5), person(6, "dina", 0, 0),
        person(7, "ada", 451, 9), person(8, "guest", 500, 58),
    ]  # fmt: skip
    assert order(some, meeting("east")) == [3, 6, 2, 1, 7, 4, 5, 8]
    assert order(some, meeting()) == [3, 1, 6, 7, 4, 5, 8, 2]
    assert order(some, meeting("east", co_working_first=False)) == [3, 1, 6, 7, 4, 5, 8, 2]
    by_time = [3, 1, 8, 7, 4, 5, 2, 6]
    assert order(some, meeting("east", co_working_first=False, fair_share=False)) == by_time
    assert order(some, meeting("east", aged_after_min=1)) == [3, 1, 8, 7, 4, 5, 2, 6]


@given(LINE, st.booleans())
def test_the_order_does_not_depend_on_how_the_line_was_read(
    people: list[tuple[str, int, int]], meets: bool
) -> None:
    where = meeting("west") if meets else meeting()
    some = [person(number, *one) for number, one in enumerate(people)]
    assert order(some, where) == order(some[::-1], where)


@given(LINE)
def test_nobody_is_overtaken_for_longer_than_the_rule_says(
    people: list[tuple[str, int, int]],
) -> None:
    """Who has waited an hour stands behind those only who came before."""
    some = [person(number, *one) for number, one in enumerate(people)]
    line = in_order(some, meeting("west"), now=NOON)
    for place, one in enumerate(line):
        if NOON - one.requested_at >= 60 * MINUTE:
            assert all(ahead.requested_at <= one.requested_at for ahead in line[:place])


@given(LINE, st.integers(0, 3))
def test_who_is_next_is_the_first_to_whom_a_slot_would_be_given(
    people: list[tuple[str, int, int]], free: int
) -> None:
    asks = [Ask(1000, 1), Ask(250, 1), Ask(500, 1)]
    some = [replace(person(number, *one), ask=asks[number % 3])
            for number, one in enumerate(people)]  # fmt: skip
    where = replace(meeting("west"), gpus=(occupy(gpu("GPU-0"), Ask(1000 - 250 * free, 1)),))
    found = next_served(some, {one.lease_id for one in some}, where, now=NOON)
    served = [one.lease_id for one in in_order(some, where, now=NOON)
              if place_of(one, some, where, now=NOON).slot is not None]  # fmt: skip
    assert found == (served[0] if served else None)


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
    place = place_of(small, [old, small], one_gpu, now=NOON)
    assert (place.position, place.why_not) == (2, "kept_for_larger")
    sooner = replace(one_gpu, rule=LinePolicy(block_after_min=5))
    assert place_of(small, [young, small], sooner, now=NOON).slot is None
    assert place_of(young, [young, small], one_gpu, now=NOON).why_not == "all_taken"
