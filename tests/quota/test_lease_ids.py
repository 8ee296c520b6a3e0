"""Lease ids that know their order, and what the books do with a request that comes too late."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from quota.errors import AlreadyRunning
from quota.lease_ids import make_lease_id, was_made_before
from tests.quota.books import NOON, Desk

LATER = NOON + timedelta(milliseconds=1)


def test_ids_are_new_valid_and_in_order() -> None:
    one, same_time, later = make_lease_id(NOON), make_lease_id(NOON), make_lease_id(LATER)
    assert len({one, same_time, later}) == 3
    assert one.version == 7
    assert one.variant == uuid4().variant
    assert was_made_before(one, later)
    assert not was_made_before(later, one)
    assert not was_made_before(one, same_time), "in one millisecond nobody was first"


@pytest.mark.parametrize("other", [uuid4(), UUID(int=0), UUID(int=2**128 - 1)])
def test_ids_of_another_kind_have_no_order(other: UUID) -> None:
    mine = make_lease_id(NOON)
    assert not was_made_before(mine, other)
    assert not was_made_before(other, mine)


def test_a_request_that_comes_too_late_does_not_end_the_newer_session(desk: Desk) -> None:
    stuck = make_lease_id(NOON)
    running = desk.ask(flavor="cpu", lease_id=make_lease_id(LATER))
    desk.start(running)
    desk.tick()
    with pytest.raises(AlreadyRunning):
        desk.ask(flavor="whole", lease_id=stuck)
    assert desk.books.lease(running.lease.id).lease.state == "active"


def test_a_hub_that_starts_again_still_ends_the_session_before(desk: Desk) -> None:
    before = desk.ask(flavor="cpu", lease_id=make_lease_id(NOON))
    desk.start(before)
    desk.tick()
    after = desk.ask(flavor="whole", lease_id=make_lease_id(LATER))
    assert after.lease.state == "waiting"
    assert desk.books.lease(before.lease.id).lease.state == "stopping"
