"""What the worker's listing may get wrong, and what the books make of it."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from quota.amount import GpuTime
from quota.audit import By
from quota.leases import END_TEXTS, end_text
from quota.observed import Observed
from tests.quota.books import NOON, Desk, hours

SECOND = timedelta(seconds=1)


def charged(desk: Desk, who: str = "ada") -> GpuTime:
    return GpuTime.total(one.amount for one in desk.books.account(who).charges)


def state(desk: Desk, lease_id: UUID) -> str:
    return desk.books.lease(lease_id).lease.state


def test_p02_an_older_observation_ends_nothing(desk: Desk) -> None:
    """A worker that was frozen comes back with a listing from before the session began."""
    before = desk.clock.now()
    desk.clock.advance(SECOND)
    lease_id, _ref = desk.run()
    desk.go(minutes=1)
    desk.books.tick([], seen_at=before)
    assert state(desk, lease_id) == "active"


def test_p02_an_older_observation_of_one_that_is_over_charges_nothing(desk: Desk) -> None:
    _lease_id, ref = desk.run()
    desk.go(minutes=1)
    older, at = [desk.containers[ref]], desk.clock.now()
    desk.clock.advance(SECOND)
    desk.finish(ref)
    desk.tick()
    result = desk.books.tick(older, seen_at=at)
    assert (result.adopted, result.stops) == ([], [])
    assert charged(desk) == GpuTime.of(1000, 61_000)


def test_a_container_that_is_listed_twice_is_one(desk: Desk) -> None:
    _lease_id, ref = desk.run()
    desk.go(minutes=1)
    result = desk.books.tick(2 * [desk.containers[ref]], seen_at=desk.clock.now())
    assert result.adopted == []


def test_one_that_a_listing_missed_is_charged_on_and_stopped(desk: Desk) -> None:
    lease_id, ref = desk.run()
    for _ in range(3):
        desk.clock.advance(60 * SECOND)
        desk.tick()
        desk.clock.advance(SECOND)
        desk.books.tick([], seen_at=desk.clock.now())
    assert state(desk, lease_id) == "ended"
    desk.clock.advance(SECOND)
    orders = desk.tick().stops
    assert [(order.ref, order.reason) for order in orders] == [(ref, "orphan")]
    total = desk.clock.now() - NOON
    desk.finish(ref)
    desk.tick()
    assert charged(desk) == GpuTime.of(1000, total // timedelta(milliseconds=1))


def test_one_that_ended_while_it_was_missed_is_charged_to_its_end(desk: Desk) -> None:
    _lease_id, ref = desk.run()
    desk.go(minutes=1)
    desk.clock.advance(10 * SECOND)
    desk.books.tick([], seen_at=desk.clock.now())
    desk.clock.advance(10 * SECOND)
    desk.finish(ref)
    desk.tick()
    desk.tick()
    assert charged(desk) == GpuTime.of(1000, 80_000)
    assert desk.containers == {}


def test_two_containers_with_one_lease_the_running_one_keeps_it(desk: Desk) -> None:
    lease_id, ref = desk.run()
    desk.clock.advance(10 * SECOND)
    twin = replace(desk.containers[ref], ref="a-twin", finished_at=desk.clock.now(), exit_code=1)
    desk.containers["a-twin"] = twin
    desk.tick()
    desk.tick()
    assert state(desk, lease_id) == "active"
    assert "a-twin" not in desk.containers, "charged and removed"
    assert charged(desk) == GpuTime.of(1000, 10_000), "the twin ran on the same GPU time"


def test_one_that_was_made_and_never_started_is_no_session(desk: Desk) -> None:
    view = desk.ask()
    made = Observed(ref="made", lease_id=view.lease.id, hub_id="main", account="ada",
                    server_name="", flavor="whole", started_at=None, finished_at=None,
                    exit_code=None)  # fmt: skip
    stray = replace(made, ref="stray", lease_id=uuid4())
    desk.containers |= {"made": made, "stray": stray}
    desk.go(minutes=5, every_s=60)
    assert state(desk, view.lease.id) == "held"
    desk.go(minutes=6, every_s=60)
    assert desk.books.lease(view.lease.id).lease.end_reason == "never_started"
    assert "made" not in desk.containers


def test_one_that_starts_before_its_turn_is_charged_and_stopped(desk: Desk) -> None:
    runs = [desk.run(who) for who in ("ada", "blaise")]
    view = desk.ask("chen")
    assert view.lease.state == "waiting"
    ref = desk.start(view)
    desk.clock.advance(10 * SECOND)
    orders = desk.tick().stops
    assert [(order.ref, order.reason) for order in orders] == [(ref, "not_admitted")]
    desk.finish(ref)
    desk.tick()
    assert state(desk, view.lease.id) == "ended"
    assert desk.books.account("chen").charged == GpuTime.of(1000, 10_000)
    assert [state(desk, lease_id) for lease_id, _ in runs] == ["active", "active"]
    assert desk.books.check() == []


def test_one_of_a_flavor_that_is_gone_costs_nothing_and_goes_on(desk: Desk) -> None:
    desk.containers["old"] = Observed(
        ref="old", lease_id=None, hub_id="main", account="ada", server_name="", flavor="retired",
        started_at=NOON, finished_at=None, exit_code=None,
    )  # fmt: skip
    desk.go(minutes=1)
    assert charged(desk) == GpuTime.ZERO
    assert len(desk.books.account("ada").sessions) == 1


def test_warnings_come_again_after_more_hours_were_given(desk: Desk) -> None:
    desk.run("emeka")
    desk.go(minutes=46, every_s=120)
    desk.office.grant(uuid4(), "emeka", hours("2"), by=By(actor="olga"), reason="a due date")
    desk.go(minutes=121, every_s=60)
    texts = [one.text.partition(" of ")[0] for one in desk.books.account("emeka").notices]
    assert (
        texts[::-1] == ["60 minutes", "15 minutes", "60 minutes", "15 minutes"] or len(texts) > 3
    )


@pytest.mark.parametrize("reason", [*END_TEXTS, None, "of_a_later_version"])
def test_each_end_has_a_sentence(reason: str | None) -> None:
    text = end_text(reason)
    assert text is None if reason is None else text is not None and text.endswith(".")


def test_p17_a_session_that_is_being_stopped_does_not_hide_the_next_end(desk: Desk) -> None:
    desk.run("emeka")
    desk.clock.advance(timedelta(minutes=30))
    desk.run("ada", "quarter")
    desk.clock.advance(timedelta(minutes=30, seconds=1))
    result = desk.tick()
    assert [order.account for order in result.stops] == ["emeka"]
    ada = desk.books.account("ada").sessions[0]
    assert result.next_end_at == ada.ends_at
    assert desk.tick().next_end_at == ada.ends_at
