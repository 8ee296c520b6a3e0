"""Asking for a session over HTTP: who may, what comes back, and that repeating is safe."""

from datetime import timedelta
from uuid import uuid4

import pytest

from api.problems import STATUS
from quota.errors import Refusal
from tests.api.desk import ADMISSION_SECRET, ApiDesk, problem
from tests.quota.books import gpu


def test_the_hub_gets_a_lease_with_a_gpu(service: ApiDesk) -> None:
    lease_id = uuid4()
    reply = service.ask(lease_id=lease_id)
    assert reply.status_code == 200
    body = reply.json()
    assert body["id"] == str(lease_id)
    assert body["state"] == "held"
    assert body["gpu"]["uuid"] in ("GPU-0", "GPU-1")
    assert body["gpu"]["virtual"] is True
    assert body["start_before"] > body["server_time"]


def test_p02_repeating_a_request_changes_nothing(service: ApiDesk) -> None:
    lease_id = uuid4()
    first = service.ask(lease_id=lease_id).json()
    before = service.books.books.account("ada")
    assert [service.ask(lease_id=lease_id).json() for _ in range(3)] == [first] * 3
    assert service.books.books.account("ada") == before


def test_p02_the_same_id_with_another_body_is_refused(service: ApiDesk) -> None:
    lease_id = uuid4()
    service.ask(lease_id=lease_id)
    before = service.books.books.account("ada")
    problem(service.ask(lease_id=lease_id, flavor="quarter"), 409, "lease_conflict")
    problem(service.ask("blaise", lease_id=lease_id), 409, "lease_conflict")
    assert service.books.books.account("ada") == before


def test_a_waiting_request_has_a_place_and_leaves_it_on_stop(service: ApiDesk) -> None:
    service.ask("ada")
    service.ask("blaise")
    lease_id = uuid4()
    waiting = service.ask("chen", lease_id=lease_id).json()
    assert waiting["state"] == "waiting"
    assert (waiting["waiting"]["position"], waiting["waiting"]["of"]) == (1, 1)
    assert waiting["waiting"]["text"]
    stop = service.call("PUT", f"/v1/leases/{lease_id}/stop", json={"reason": "left_line"})
    assert stop.json()["state"] == "ended"
    assert service.get(f"/v1/leases/{lease_id}").json()["end_reason"] == "left_line"


def test_a_cpu_session_needs_no_hours(service: ApiDesk) -> None:
    body = service.ask("olga", "cpu").json()
    assert (body["state"], body["gpu"], body["weight_mgpu"]) == ("held", None, 0)


@pytest.mark.parametrize(
    "token", ["token-ada", "token-blaise", "token-tomas", "token-olga", "token-service"]
)
def test_only_the_hub_asks_for_leases(service: ApiDesk, token: str) -> None:
    lease_id = uuid4()
    problem(service.ask(lease_id=lease_id, token=token), 403, "forbidden")
    service.ask(lease_id=lease_id)
    path = f"/v1/leases/{lease_id}/stop"
    reply = service.call("PUT", path, token, json={"reason": "person"})
    problem(reply, 403, "forbidden")
    assert service.get(f"/v1/leases/{lease_id}").json()["state"] == "held"


@pytest.mark.parametrize(
    ("token", "status"),
    [(ADMISSION_SECRET, 200), ("token-olga", 200), ("token-ada", 200), ("token-blaise", 404),
     ("token-tomas", 404), ("token-service", 404), ("token-stranger", 403), ("unknown", 401),
     (None, 401)],
)  # fmt: skip
def test_p36_who_sees_a_lease(service: ApiDesk, token: str | None, status: int) -> None:
    lease_id = uuid4()
    service.ask(lease_id=lease_id)
    assert service.get(f"/v1/leases/{lease_id}", token).status_code == status


def test_p36_others_leases_look_like_none_at_all(service: ApiDesk) -> None:
    lease_id = uuid4()
    service.ask(lease_id=lease_id)
    others = service.get(f"/v1/leases/{lease_id}", "token-blaise").json()
    missing = service.get(f"/v1/leases/{uuid4()}", "token-blaise").json()
    del others["request_id"], missing["request_id"]
    assert others == missing


def test_a_refusal_says_why_when_and_whom_to_ask(service: ApiDesk) -> None:
    lease_id = uuid4()
    service.ask("emeka", lease_id=lease_id)
    service.books.start(service.books.books.lease(lease_id))
    service.books.go(minutes=62, every_s=60)
    assert service.get(f"/v1/leases/{lease_id}").json()["end_reason"] == "exhausted"
    body = problem(service.ask("emeka", "whole"), 409, "insufficient_balance")
    assert body["ask"]
    assert body["retry_at"].startswith("2026-11-29T23:00"), "Monday 00:00 in Berlin"
    assert "Not enough GPU-hours" in body["detail"]
    assert service.ask("emeka", "cpu").json()["state"] == "held"


def test_every_refusal_has_a_status() -> None:
    leaves = {one for one in _below(Refusal) if not one.__subclasses__()}
    assert set(STATUS) == leaves
    assert len({one.code for one in leaves}) == len(leaves)


def _below(kind: type[Refusal]) -> set[type[Refusal]]:
    return {kind}.union(*(_below(one) for one in kind.__subclasses__()))


def test_refusal_codes_that_a_request_can_meet(service: ApiDesk) -> None:
    problem(service.ask("nobody"), 409, "not_on_roster")
    problem(service.ask("ada", "gigantic"), 422, "no_such_flavor")
    problem(service.ask("ada", image="other"), 422, "no_such_image")
    problem(service.get(f"/v1/leases/{uuid4()}"), 404, "no_such_lease")
    problem(service.get("/v1/accounts/stranger"), 404, "no_such_account")
    problem(service.ask(hub_id="other"), 404, "no_such_hub")
    service.ask("ada", "quarter")
    problem(service.ask("ada", "quarter", server_name="b"), 409, "too_many_sessions")
    metrics = service.get("/metrics", None).text
    assert 'gpulab_requests_refused_total{code="too_many_sessions"} 1.0' in metrics


def test_a_flavor_that_no_gpu_in_service_can_hold(service: ApiDesk) -> None:
    service.books.books.set_inventory([])
    assert service.ask("ada").json()["waiting"]["reason"] == "no_gpus_known"
    service.books.books.set_inventory([gpu("GPU-9", memory_mib=8192)])
    problem(service.ask("blaise"), 409, "flavor_cannot_be_placed")


def test_a_hold_that_nobody_starts_is_given_back(service: ApiDesk) -> None:
    service.ask("ada")
    assert service.get("/v1/accounts/ada").json()["held_mgpu_ms"] > 0
    service.books.go(minutes=11)
    body = service.get("/v1/accounts/ada").json()
    assert (body["held_mgpu_ms"], body["sessions"]) == (0, [])
    service.books.clock.advance(timedelta(hours=1))
