"""A GPU share that a scholar reserves ahead: kept, taken up, given back; others make room."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine

from quota.audit import By
from quota.clearing import keep_reservations
from quota.errors import (
    AlreadyDecided,
    BadLength,
    BadStart,
    FlavorCannotBePlaced,
    GpusClosed,
    IdConflict,
    NoReservations,
    NoSuchFlavor,
    NoSuchThing,
    NothingFree,
    NotOnRoster,
    Refusal,
    TooManyReservations,
)
from quota.lab import Lab
from quota.lab_file import LabFileError, parse_lab
from quota.reservations import Reservation
from quota.reserving_ahead import Reserving
from tests.quota.books import LAB_YAML, NOON, Desk, gpu, lab_with

RULES = "reservations: {most_open: 2, ahead_least_min: 60, longest_min: 180}"
MOVE = "{title: Move, starts: 2026-11-26 12:00, ends: 2026-11-26 20:00}"


def lab_of(more: str = "", *, rules: str = RULES, section: str = "") -> Lab:
    return lab_with(f"\n{rules}\n{more}", section=section)


@pytest.fixture
def desk(memory_engine: Engine) -> Iterator[Desk]:
    """For stories; what the database does is tested on both."""
    desk = Desk(memory_engine, lab=lab_of())
    yield desk
    desk.check()


def reserve(
    desk: Desk, who: str = "ada", flavor: str = "whole", *, ahead: float = 24, minutes: int = 120,
    key: UUID | None = None,
) -> Reservation:  # fmt: skip
    """Reserve something so many hours after noon."""
    starts_at = NOON + timedelta(hours=ahead)
    return Reserving(desk.books).reserve(
        key or uuid4(), who, flavor=flavor, starts_at=starts_at, minutes=minutes, by=By(actor=who)
    )


def go(desk: Desk, *, every_s: int = 60, **by: float) -> None:
    """Let time pass with a worker."""
    end = desk.clock.now() + timedelta(**by)
    while desk.clock.now() < end:
        desk.go(every_s=every_s, seconds=every_s)
        keep_reservations(desk.books)


def to(desk: Desk, hours: float) -> None:
    """Jump to so many hours after noon, with one pass of the worker."""
    desk.clock.set(NOON + timedelta(hours=hours))
    desk.tick()
    keep_reservations(desk.books)


def state(desk: Desk, one: Reservation) -> str:
    (found,) = [x for x in Reserving(desk.books).newest(_who(desk, one), most=9) if x.id == one.id]
    return found.state


def _who(desk: Desk, one: Reservation) -> str:
    return Reserving(desk.books).holder(one.id)


def told(desk: Desk, who: str) -> list[str]:
    return [one.text for one in desk.books.account(who).notices]


def test_the_holder_is_admitted_at_once_in_their_time(engine: Engine) -> None:
    desk = Desk(engine, lab=lab_of())
    mine = reserve(desk)
    to(desk, 23.75)
    first, second = desk.ask("blaise"), desk.ask("chen")
    assert (first.lease.state, second.lease.state) == ("held", "waiting")
    assert second.line is not None
    assert second.line.reason == "reserved"
    assert "kept for a scholar who has reserved it, Thursday 12:00" in second.line.text
    assert "ada" not in second.line.text
    desk.start(first)
    to(desk, 24)
    assert "Your reserved time has begun" in told(desk, "ada")[0]
    view = desk.ask("ada")
    assert (view.lease.state, view.lease.gpu_uuid) == ("held", mine.gpu_uuid)
    assert view.lease.yields_at is None
    desk.start(view)
    go(desk, minutes=30)
    assert state(desk, mine) == "open"
    assert desk.books.account("ada").charged.hours_text() == "0.50", "only what ran"
    desk.check()


def test_others_start_before_only_if_they_are_gone_in_time_and_are_told(desk: Desk) -> None:
    mine = reserve(desk, ahead=3)
    desk.run("blaise")
    view = desk.ask("chen")
    assert view.lease.gpu_uuid == mine.gpu_uuid
    assert (view.lease.yields_at, view.lease.yields_to) == (mine.starts_at, mine.id)
    assert "reserved for another scholar from Wednesday, 25 November at 15:00" in told(
        desk, "chen")[0]  # fmt: skip
    desk.start(view)
    go(desk, minutes=181, every_s=60)
    ended = desk.books.lease(view.lease.id).lease
    assert (ended.end_reason, ended.ended_at) == ("reserved", mine.starts_at)
    assert any("another scholar in 15 minutes" in text for text in told(desk, "chen"))
    desk.tick()
    assert desk.ask("ada").lease.state == "held"


def test_who_leaves_room_is_in_nobodys_way(desk: Desk) -> None:
    mine = reserve(desk, flavor="quarter", ahead=2)
    views = [desk.ask(who, "quarter") for who in ("blaise", "chen", "dina")]
    assert {view.lease.gpu_uuid for view in views} == {mine.gpu_uuid}
    assert [view.lease.yields_at for view in views] == [None] * 3
    fourth = desk.ask("emeka", "quarter")
    assert fourth.lease.gpu_uuid != mine.gpu_uuid, "rather where nothing is reserved"
    for view in views:
        desk.start(view)
    to(desk, 2)
    assert desk.ask("ada", "quarter").lease.gpu_uuid == mine.gpu_uuid


def test_the_spawn_page_counts_what_is_kept_for_others(desk: Desk) -> None:
    reserve(desk, flavor="quarter", ahead=2)

    def free(who: str) -> dict[str, int]:
        return {one.flavor.name: one.free_slots for one in desk.books.spawn_options(who).flavors}

    assert free("blaise")["quarter"] == 8
    to(desk, 1.75)
    assert (free("blaise")["quarter"], free("blaise")["whole"]) == (7, 1)
    assert (free("ada")["quarter"], free("ada")["whole"]) == (8, 2)


def test_a_session_that_runs_is_told_in_time_to_make_room(desk: Desk) -> None:
    desk.follow(lab_of(rules="reservations: {most_open: 2, notice_min: 120}"))
    (first, _), (second, _) = desk.run("blaise"), desk.run("chen")
    with pytest.raises(NothingFree, match="From Wednesday, 25 November at 14:00"):
        reserve(desk, ahead=1.5)
    mine = reserve(desk, ahead=3)
    go(desk, every_s=300, minutes=55)
    assert desk.books.lease(first).lease.yields_at is None, "not before it has to be told"
    go(desk, every_s=300, minutes=5)
    lease = desk.books.lease(first).lease
    assert (lease.gpu_uuid, lease.yields_to) == (mine.gpu_uuid, mine.id)
    assert "Wednesday, 25 November at 15:00" in told(desk, "blaise")[0]
    assert desk.books.lease(second).lease.yields_at is None
    go(desk, minutes=121)
    assert desk.books.lease(first).lease.end_reason == "reserved"
    assert desk.ask("ada").lease.state == "held"


def test_what_is_taken_back_sets_sessions_free(desk: Desk) -> None:
    mine = reserve(desk, ahead=3)
    desk.run("blaise")
    lease_id, _ = desk.run("chen")
    assert desk.books.lease(lease_id).lease.yields_to == mine.id
    Reserving(desk.books).withdraw(mine.id, by=By(actor="ada"))
    Reserving(desk.books).withdraw(mine.id, by=By(actor="ada"))
    keep_reservations(desk.books)
    assert desk.books.lease(lease_id).lease.yields_at is None
    go(desk, every_s=300, minutes=190)
    assert desk.books.lease(lease_id).lease.state == "active"
    lines = [one.action for one in desk.office.trail(subject="ada")]
    assert lines == ["reservation.make", "reservation.withdraw"]


def test_nobody_comes_and_it_is_given_to_others(desk: Desk) -> None:
    mine = reserve(desk, ahead=3)
    desk.run("blaise")
    to(desk, 3)
    waiting = desk.ask("chen")
    for _ in range(14):
        go(desk, minutes=1)
        asked = desk.ask("chen", lease_id=waiting.lease.id)
        assert (state(desk, mine), asked.lease.state) == ("open", "waiting")
    go(desk, minutes=1)
    assert state(desk, mine) == "no_show"
    assert desk.ask("chen", lease_id=waiting.lease.id).lease.state == "held"
    assert "given to others: you had no session for 15 minutes" in told(desk, "ada")[0]
    with pytest.raises(AlreadyDecided):
        Reserving(desk.books).withdraw(mine.id, by=By(actor="ada"))
    (line,) = [one for one in desk.office.trail() if one.action == "reservation.no_show"]
    assert (line.actor, line.subject) == ("gpulab", "ada")


def test_a_worker_that_was_away_takes_nobody_for_a_no_show(desk: Desk) -> None:
    mine = reserve(desk, ahead=3)
    to(desk, 4)
    assert state(desk, mine) == "open"
    go(desk, minutes=15)
    assert state(desk, mine) == "no_show"


def test_who_starts_anew_in_their_time_gets_it_back(desk: Desk) -> None:
    mine = reserve(desk, ahead=3)
    desk.run("blaise")
    to(desk, 3)
    _, ref = desk.run("ada")
    go(desk, minutes=40)
    desk.finish(ref)
    go(desk, minutes=10)
    assert desk.ask("chen").lease.state == "waiting"
    again = desk.ask("ada")
    assert (again.lease.state, again.lease.gpu_uuid) == ("held", mine.gpu_uuid)
    desk.finish(desk.start(again))
    go(desk, minutes=15)
    assert state(desk, mine) == "no_show"


def test_with_a_session_elsewhere_it_is_not_kept_twice(desk: Desk) -> None:
    desk.run("blaise", "quarter")
    mine = reserve(desk, flavor="quarter", ahead=3)
    lease_id, _ = desk.run("ada")
    assert desk.books.lease(lease_id).lease.gpu_uuid != mine.gpu_uuid
    to(desk, 3)
    assert state(desk, mine) == "used"
    assert "you have another session already" in told(desk, "ada")[0]
    assert desk.books.lease(lease_id).lease.state == "active"


def test_after_its_end_it_is_over_and_its_session_goes_on(desk: Desk) -> None:
    mine = reserve(desk, ahead=3, minutes=60)
    to(desk, 3)
    lease_id, _ = desk.run("ada")
    go(desk, every_s=300, minutes=70)
    assert state(desk, mine) == "over"
    assert desk.books.lease(lease_id).lease.state == "active"


def test_two_after_each_other_make_room_for_each_other(desk: Desk) -> None:
    first = reserve(desk, "ada", ahead=3, minutes=120)
    reserve(desk, "blaise", ahead=3, minutes=180)
    with pytest.raises(NothingFree, match="From Wednesday, 25 November at 17:00"):
        reserve(desk, "chen", ahead=4)
    second = reserve(desk, "chen", ahead=5, minutes=60)
    assert second.gpu_uuid == first.gpu_uuid
    to(desk, 4.9)
    keep_reservations(desk.books)
    assert state(desk, first) == "open"
    mine = desk.ask("ada")
    assert (mine.lease.state, mine.lease.yields_at) == ("held", second.starts_at)
    desk.start(mine)
    go(desk, minutes=6, every_s=15)
    desk.tick()
    assert desk.ask("chen").lease.state == "held"


def test_co_working_hours_come_before(desk: Desk) -> None:
    hours = 'reserved_gpus: 1, co_working: [{day: thursday, starts: "12:00", ends: "14:00"}]'
    desk.follow(lab_of(section=hours))
    mine = reserve(desk, "emeka", ahead=25)
    assert mine.gpu_uuid == "GPU-1"
    with pytest.raises(NothingFree, match=r"From Thursday, 26 November at 14:00 \(UTC\)"):
        reserve(desk, "ada", ahead=25)
    hours = hours.replace("reserved_gpus: 1", "reserved_gpus: 2")
    desk.follow(lab_of(section=hours))
    to(desk, 23)
    assert state(desk, mine) == "open"
    to(desk, 24.1)
    assert state(desk, mine) == "called_off"
    assert "cannot be kept" in told(desk, "emeka")[0]


def test_a_gpu_that_is_drained_gives_what_is_reserved_to_another(desk: Desk) -> None:
    mine = reserve(desk, ahead=3)
    desk.follow(lab_of(f"drained_gpus: {{{mine.gpu_uuid}: {{why: its fan}}}}\n"))
    keep_reservations(desk.books)
    desk.run("blaise")
    moved = Reserving(desk.books).newest("ada", most=1)[0]
    assert moved.gpu_uuid != mine.gpu_uuid
    assert [one.action for one in desk.office.trail(actor="gpulab")] == ["reservation.move"]
    to(desk, 2.95)
    go(desk, minutes=5)
    assert desk.ask("ada").lease.gpu_uuid == moved.gpu_uuid


WRONG: list[tuple[dict[str, Any], type[Refusal]]] = [
    ({"flavor": "cpu"}, NoSuchFlavor),
    ({"flavor": "huge"}, NoSuchFlavor),
    ({"who": "olga"}, NotOnRoster),
    ({"who": "nobody here"}, NotOnRoster),
    ({"ahead": 0.9}, BadStart),
    ({"ahead": -1}, BadStart),
    ({"ahead": 7 * 24 + 0.1}, BadStart),
    ({"ahead": 9_000_000}, BadStart),
    ({"minutes": 29}, BadLength),
    ({"minutes": 181}, BadLength),
    ({"ahead": 23}, GpusClosed),
]


def test_a_wish_that_the_rules_do_not_allow_is_refused(desk: Desk) -> None:
    desk.follow(lab_of(f"blackouts: {{move: {MOVE}}}\n"))
    for wish, error in WRONG:
        with pytest.raises(error):
            reserve(desk, **wish)
    assert Reserving(desk.books).coming() == []
    assert reserve(desk, ahead=7 * 24).state == "open"


def test_as_many_as_the_rules_say_and_one_at_a_time(desk: Desk) -> None:
    key = uuid4()
    assert reserve(desk, key=key) == reserve(desk, key=key)
    with pytest.raises(IdConflict):
        reserve(desk, key=key, minutes=60)
    with pytest.raises(IdConflict):
        reserve(desk, "blaise", key=key)
    with pytest.raises(TooManyReservations, match="part of this time"):
        reserve(desk, ahead=25)
    reserve(desk, ahead=26)
    with pytest.raises(TooManyReservations, match="2 open"):
        reserve(desk, ahead=30)
    with pytest.raises(NoSuchThing):
        Reserving(desk.books).withdraw(uuid4(), by=By(actor="ada"))
    desk.books.set_inventory([gpu("GPU-0", 1000)])
    with pytest.raises(FlavorCannotBePlaced):
        reserve(desk, "blaise", "whole")


def test_a_lab_that_takes_none_keeps_none(desk: Desk) -> None:
    mine = reserve(desk, ahead=3)
    desk.follow(lab_of(rules=""))
    with pytest.raises(NoReservations):
        reserve(desk, "blaise", ahead=4)
    for who in ("blaise", "chen"):
        assert desk.ask(who).lease.yields_at is None
    keep_reservations(desk.books)
    assert state(desk, mine) == "called_off"


def test_rules_that_contradict_each_other_are_named_with_their_line() -> None:
    text = LAB_YAML + "\nreservations:\n  most_open: 1\n  longest_min: 60\n  no_show_min: 60\n"
    with pytest.raises(LabFileError, match=r"lab.yaml:\d+: reservations.no_show_min: .*less than"):
        parse_lab(text, "lab.yaml")
    for wrong in ("most_open: -1", "most_open: many", "ahead_days: 0", "longest: 5"):
        with pytest.raises(LabFileError, match=r"lab.yaml:\d+: reservations"):
            parse_lab(f"{LAB_YAML}\nreservations:\n  {wrong}\n", "lab.yaml")


def test_p03_of_many_who_reach_for_the_last_place_at_once_no_more_get_it_than_fit(
    engine: Engine,
) -> None:
    desk = Desk(engine, lab=lab_of())

    def reach(who: str) -> bool:
        try:
            reserve(desk, who)
        except NothingFree:
            return False
        return True

    people = ("ada", "blaise", "chen", "dina", "emeka")
    with ThreadPoolExecutor(len(people)) as pool:
        assert sum(pool.map(reach, people)) == 2
    placed = [one.gpu_uuid for _, one in Reserving(desk.books).coming()]
    assert sorted(placed) == ["GPU-0", "GPU-1"]
    lines = [one for one in desk.office.trail() if one.action == "reservation.make"]
    assert len(lines) == 2
