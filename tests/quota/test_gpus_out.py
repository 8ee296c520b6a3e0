"""GPUs that take no sessions: drained by an organizer, or lost by the machine."""

from datetime import timedelta
from uuid import uuid4

import pytest

from quota.audit import By
from quota.errors import FlavorCannotBePlaced
from quota.rulebook import entry_tag
from quota.store import trail
from quota.store.engine import reading
from tests.quota.books import Desk, gpu

OLGA = By(actor="olga")


def drain(desk: Desk, uuid: str, *, back: bool = False) -> None:
    tag = entry_tag(desk.books.lab, "drained_gpus", uuid)
    body = None if back else {"why": "its fan is broken"}
    desk.office.change_rule("drained_gpus", uuid, body, tag=tag, by=OLGA, reason="the fan")


def test_a_drained_gpu_takes_nobody_and_who_is_on_it_stays(desk: Desk) -> None:
    lease_id, _ = desk.run("ada", "quarter")
    drain(desk, "GPU-0")
    assert {one.uuid: one.in_service for one in desk.books.load().gpus} == {
        "GPU-0": False, "GPU-1": True}  # fmt: skip
    other = desk.ask("blaise", "quarter")
    assert other.gpu is not None
    assert other.gpu.uuid == "GPU-1"
    # Looking at the machine again does not bring it back.
    desk.books.set_inventory([gpu("GPU-0"), gpu("GPU-1")])
    desk.go(minutes=10, every_s=300)
    assert desk.books.lease(lease_id).lease.state == "active"
    assert desk.ask("chen", "whole").lease.state == "waiting"
    drain(desk, "GPU-1")
    with pytest.raises(FlavorCannotBePlaced):
        desk.ask("dina", "whole")
    assert desk.books.spawn_options("dina").flavors[1].total_slots == 0
    drain(desk, "GPU-1", back=True)
    drain(desk, "GPU-0", back=True)
    with reading(desk.engine) as tx:
        lines = [(one.actor, one.action, one.subject) for one in trail.audit_lines(tx)]
    assert lines == [("olga", "drained_gpus.change", f"GPU-{n}") for n in (0, 1, 1, 0)]
    back = desk.ask("dina", "quarter").gpu
    assert back is not None
    assert back.uuid == "GPU-0"


def test_a_place_kept_on_a_gpu_that_is_drained_is_given_back(desk: Desk) -> None:
    away = desk.ask("ada", present=False)
    assert away.gpu is not None
    assert away.gpu.uuid == "GPU-0"
    drain(desk, "GPU-0")
    there = desk.ask("ada", lease_id=away.lease.id)
    assert there.gpu is not None
    assert (there.lease.state, there.gpu.uuid) == ("held", "GPU-1")
    assert [one.used_mgpu for one in desk.books.load().gpus] == [0, 1000]


def test_who_waits_for_a_drained_gpu_is_refused_when_there_is_no_other(desk: Desk) -> None:
    desk.run("ada")
    desk.run("blaise")
    waiting = desk.ask("chen")
    drain(desk, "GPU-0")
    drain(desk, "GPU-1")
    with pytest.raises(FlavorCannotBePlaced):
        desk.ask("chen", lease_id=waiting.lease.id)
    assert desk.books.lease(waiting.lease.id).lease.end_reason == "refused"


def test_sessions_on_a_lost_gpu_are_stopped_after_a_while_and_told(desk: Desk) -> None:
    lost, ref = desk.run("ada")
    stays, _ = desk.run("blaise")
    desk.books.set_inventory([gpu("GPU-1")])
    desk.go(minutes=4, every_s=60)
    desk.books.set_inventory([gpu("GPU-1")])
    assert desk.books.lease(lost).lease.state == "active", "it may come back"
    assert desk.ask("chen", server=str(uuid4())).lease.state == "waiting"
    results = desk.go(minutes=1, seconds=15)
    assert [order.reason for one in results for order in one.stops][:1] == ["gpu_lost"]
    assert ref not in desk.containers
    found = desk.books.lease(lost)
    assert found.lease.end_reason == "gpu_lost"
    assert found.end_text is not None
    assert "failed" in found.end_text
    assert [one.kind for one in desk.books.account("ada").notices] == ["stopped"]
    assert desk.books.lease(stays).lease.state == "active"
    # The next look at the machine forgets it, since nobody is on it any more.
    desk.books.set_inventory([gpu("GPU-1")])
    assert [one.uuid for one in desk.books.load().gpus] == ["GPU-1"]


def test_a_gpu_that_comes_back_in_time_has_lost_nobody(desk: Desk) -> None:
    lease_id, _ = desk.run("ada")
    desk.books.set_inventory([gpu("GPU-1")])
    assert not desk.books.load().gpus[0].in_service
    desk.go(minutes=4, every_s=60)
    desk.books.set_inventory([gpu("GPU-0"), gpu("GPU-1")])
    desk.clock.advance(timedelta(minutes=10))
    desk.tick()
    assert desk.books.lease(lease_id).lease.state == "active"
    assert desk.books.load().gpus[0].in_service
