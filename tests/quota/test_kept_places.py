"""A CPU session meanwhile: the place in the line is kept, told of, taken up or passed on."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine

from quota.errors import GpusClosed, NoSuchLease, TooManySessions
from quota.leases import KEPT_PLACE, Lease
from tests.quota.books import Desk, lab_with


@pytest.fixture
def desk(memory_engine: Engine) -> Iterator[Desk]:
    desk = Desk(memory_engine)
    yield desk
    desk.check()


def meet(desk: Desk) -> tuple[str, str, UUID]:
    """Two have all GPUs, chen waits and works on a CPU meanwhile."""
    (_, first), (_, second) = desk.run("ada"), desk.run("blaise")
    desk.go(minutes=5)
    place = desk.ask("chen").lease
    assert place.state == "waiting"
    desk.books.keep_place(place.id)
    desk.run("chen", "cpu")
    return first, second, place.id


def lease(desk: Desk, lease_id: UUID) -> Lease:
    return desk.books.lease(lease_id).lease


def go(desk: Desk, **by: float) -> None:
    """Let time pass with a worker, which asks for the places that are kept."""
    end = desk.clock.now() + timedelta(**by)
    while desk.clock.now() < end:
        desk.go(seconds=15)
        desk.books.ask_for_kept_places()


def told(desk: Desk, who: str = "chen") -> list[str]:
    return [one.kind for one in desk.books.account(who).notices]


def test_a_place_is_kept_as_long_as_its_holder_works_on_a_cpu(desk: Desk) -> None:
    _, _, place = meet(desk)
    go(desk, minutes=30)
    later = desk.ask("dina")
    assert later.line is not None
    assert (later.line.position, later.line.of) == (2, 2), "chen is before"
    assert lease(desk, place).state == "waiting"
    assert desk.books.account("chen").balance.hours_text() == "10.00", "waiting costs nothing"
    (cpu,) = [one.lease for one in desk.books.account("chen").sessions if one.lease.started_at]
    desk.books.stop_lease(cpu.id, "person")
    desk.go(minutes=1)
    assert lease(desk, place).state == "waiting", "time to start something else"
    go(desk, minutes=3)
    assert lease(desk, place).end_reason == "left_line", "nobody is there"


def test_when_the_turn_comes_a_gpu_is_kept_and_its_holder_told(desk: Desk) -> None:
    first, _, place = meet(desk)
    go(desk, minutes=1)
    assert told(desk) == []
    desk.finish(first)
    go(desk, seconds=30)
    offered = lease(desk, place)
    assert (offered.state, offered.gpu_uuid) == ("waiting", "GPU-0")
    (notice,) = desk.books.account("chen").notices
    assert notice.kind == "turn"
    assert "a GPU for whole is kept for you until 12:16 (UTC)" in notice.text
    assert desk.ask("dina").lease.state == "waiting", "it is nobody else's"


def test_the_holder_takes_the_kept_gpu_by_starting_on_it(engine: Engine) -> None:
    desk = Desk(engine)
    first, _, place = meet(desk)
    desk.finish(first)
    go(desk, seconds=30)
    ending = desk.ask("chen")
    assert ending.line is not None
    assert ending.line.reason == "previous_ending", "the CPU session is stopped before"
    go(desk, seconds=30)
    held = desk.ask("chen", lease_id=ending.lease.id)
    assert (held.lease.state, held.lease.gpu_uuid) == ("held", "GPU-0")
    assert lease(desk, place).end_reason == "taken_up"
    desk.start(held)
    go(desk, minutes=2)
    assert lease(desk, held.lease.id).state == "active"
    assert sum(gpu.sharers for gpu in desk.books.load().gpus) == 2
    desk.check()


def test_a_gpu_that_is_not_taken_goes_to_the_next(desk: Desk) -> None:
    first, _, place = meet(desk)
    desk.finish(first)
    go(desk, seconds=30)
    dina = desk.ask("dina")
    for _ in range(10):
        go(desk, minutes=1)
        dina = desk.ask("dina", lease_id=dina.lease.id)
    assert dina.lease.state == "held"
    assert lease(desk, place).end_reason == "not_there"
    assert told(desk) == ["stopped", "turn"]
    assert "It has gone to the next" in desk.books.account("chen").notices[0].text
    (cpu,) = desk.books.account("chen").sessions
    assert cpu.lease.state == "active", "the CPU session goes on"


def test_who_starts_before_the_turn_waits_on_at_the_same_place(desk: Desk) -> None:
    first, _, place = meet(desk)
    go(desk, minutes=10)
    dina = desk.ask("dina")
    asked = desk.ask("chen")
    go(desk, seconds=30)
    asked = desk.ask("chen", lease_id=asked.lease.id)
    assert asked.line is not None
    assert (asked.line.position, asked.line.of) == (1, 2)
    assert asked.lease.requested_at < dina.lease.requested_at
    assert lease(desk, place).end_reason == "taken_up"
    desk.finish(first)
    go(desk, seconds=15)
    assert desk.ask("dina", lease_id=dina.lease.id).lease.state == "waiting"
    assert desk.ask("chen", lease_id=asked.lease.id).lease.state == "held"
    desk.check()


@pytest.mark.parametrize("has_turn", [True, False])
def test_another_flavor_gives_the_place_up(desk: Desk, has_turn: bool) -> None:
    first, _, place = meet(desk)
    if has_turn:
        desk.finish(first)
        go(desk, seconds=30)
    asked = desk.ask("chen", "quarter")
    go(desk, seconds=30)
    asked = desk.ask("chen", "quarter", lease_id=asked.lease.id)
    assert lease(desk, place).end_reason == "taken_up"
    assert lease(desk, place).gpu_uuid is None
    again = desk.ask("chen", "quarter", lease_id=asked.lease.id)
    assert again.lease.state == ("held" if has_turn else "waiting")


def test_a_kept_gpu_that_is_lost_loses_no_place(desk: Desk) -> None:
    first, _, place = meet(desk)
    desk.finish(first)
    go(desk, seconds=30)
    desk.follow(lab_with("\ndrained_gpus: {GPU-0: {why: its fan}}\n"))
    go(desk, minutes=12)
    assert (lease(desk, place).state, lease(desk, place).gpu_uuid) == ("waiting", None)


def test_a_place_that_would_be_refused_is_given_up_and_told(desk: Desk) -> None:
    _, _, place = meet(desk)
    move = "{title: Move, starts: 2026-11-25 12:00, ends: 2026-11-25 20:00}"
    desk.follow(lab_with(f"\nblackouts: {{move: {move}}}\n"))
    go(desk, seconds=30)
    assert lease(desk, place).end_reason == "refused"
    notice = desk.books.account("chen").notices[0]
    assert notice.kind == "stopped"
    assert "Your place in the line for whole is given up. The GPUs are closed" in notice.text
    with pytest.raises(GpusClosed):
        desk.ask("chen", server="other")


def test_a_kept_place_is_no_session_and_gives_no_second_one(desk: Desk) -> None:
    first, _, place = meet(desk)
    flavors = {one.flavor.name: one for one in desk.books.spawn_options("chen").flavors}
    assert flavors["whole"].refusal is None
    desk.finish(first)
    go(desk, seconds=30)
    taken = desk.ask("chen", server="second")
    assert taken.lease.state == "held"
    assert lease(desk, place).end_reason == "taken_up"
    with pytest.raises(TooManySessions):
        desk.ask("chen", "quarter", server="third")


def test_only_what_waits_can_be_kept_and_twice_is_once(desk: Desk) -> None:
    _, _, place = meet(desk)
    again = desk.books.keep_place(place)
    assert again.lease.server_name == KEPT_PLACE
    held = desk.ask("dina", "cpu").lease
    for lease_id in (held.id, uuid4()):
        with pytest.raises(NoSuchLease):
            desk.books.keep_place(lease_id)
    desk.books.stop_lease(place, "person")
    assert lease(desk, place).end_reason == "left_line"
    with pytest.raises(NoSuchLease):
        desk.books.keep_place(place)


def test_a_worker_that_was_away_costs_nobody_a_place(desk: Desk) -> None:
    first, _, place = meet(desk)
    desk.clock.advance(timedelta(minutes=20))
    desk.finish(first)
    desk.tick()
    desk.books.ask_for_kept_places()
    assert lease(desk, place).gpu_uuid == "GPU-0"
