"""The client of the service against every kind of wrong answer, within its budget."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import stamina

from hub.breaker import Breaker
from hub.client import ServiceClient, ServiceRefused, ServiceUnavailable
from quota.leases import LeaseRequest
from tests.hub.doubles import run

LEASE_ID = uuid4()
WANTED = LeaseRequest(hub_id="main", account="ada", server_name="", flavor="whole", image="base")
HELD = {"id": str(LEASE_ID), "state": "held", "gpu": {"uuid": "GPU-0", "virtual": True},
        "waiting": None, "end_reason": None, "end_text": None, "a_newer_field": 1}  # fmt: skip
Handler = Callable[[httpx2.Request], httpx2.Response]


def client_for(handler: Any, **more: Any) -> ServiceClient:
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(handler), base_url="http://service")
    return ServiceClient(http, hub_id="main", **more)


def ask(client: ServiceClient) -> Any:
    async def once() -> Any:
        try:
            return await client.request_lease(LEASE_ID, WANTED)
        finally:
            await client.aclose()

    return run(once())


@pytest.fixture
def quick_retries() -> Any:
    with stamina.set_testing(True, attempts=4):
        yield


def test_an_answer_is_typed_and_a_newer_services_fields_are_ignored() -> None:
    seen: list[httpx2.Request] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json=HELD)

    lease = ask(client_for(handler))
    assert (lease.state, lease.gpu.uuid) == ("held", "GPU-0")
    assert (seen[0].method, seen[0].url.path) == ("PUT", f"/v1/leases/{LEASE_ID}")
    assert json.loads(seen[0].content) == {
        "hub_id": "main", "account": "ada", "server_name": "", "flavor": "whole",
        "image": "base", "present": True,
    }  # fmt: skip


def test_names_are_escaped_in_addresses() -> None:
    seen: list[str] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.url.raw_path.decode())
        return httpx2.Response(404, json={"code": "no_such_account", "detail": "Unknown."})

    with pytest.raises(ServiceRefused):
        run(client_for(handler).account("../a?b/ü"))
    assert seen == ["/v1/accounts/..%2Fa%3Fb%2F%C3%BC?hub_id=main"]


WRONG: dict[str, Handler] = {
    "500": lambda _: httpx2.Response(500, text="Internal Server Error"),
    "503": lambda _: httpx2.Response(503, json={"code": "unavailable", "detail": "Busy."}),
    "garbage": lambda _: httpx2.Response(200, text="<html>"),
    "empty": lambda _: httpx2.Response(200),
    "not UTF-8": lambda _: httpx2.Response(200, content=b"\xff\xfe{"),
    "deep": lambda _: httpx2.Response(200, content=b"[" * 200_000),
    "huge": lambda _: httpx2.Response(200, content=b'"' + b"x" * 2_000_000 + b'"'),
    "null": lambda _: httpx2.Response(200, json=None),
    "a list": lambda _: httpx2.Response(200, json=[HELD]),
    "unknown state": lambda _: httpx2.Response(200, json=HELD | {"state": "paused"}),
    "a field gone": lambda _: httpx2.Response(200, json={"id": str(LEASE_ID)}),
    "another lease": lambda _: httpx2.Response(200, json=HELD | {"id": str(uuid4())}),
    "201": lambda _: httpx2.Response(201, json=HELD),
    "redirect": lambda _: httpx2.Response(302, headers={"Location": "http://elsewhere/"}),
    "401": lambda _: httpx2.Response(401, json={"code": "not_signed_in", "detail": "No."}),
    "404 of a stranger": lambda _: httpx2.Response(404, text="nginx"),
    "404 of another hub": lambda _: httpx2.Response(
        404, json={"code": "no_such_hub", "detail": "Unknown hub."}
    ),
    "422 between us": lambda _: httpx2.Response(
        422, json={"code": "invalid_request", "detail": "What?"}
    ),
}


@pytest.mark.usefixtures("quick_retries")
@pytest.mark.parametrize("handler", WRONG.values(), ids=WRONG)
def test_p28_whatever_is_no_answer_is_unavailable(handler: Handler) -> None:
    with pytest.raises(ServiceUnavailable):
        ask(client_for(handler))


@pytest.mark.usefixtures("quick_retries")
@pytest.mark.parametrize(
    "error", [httpx2.ConnectError, httpx2.ReadTimeout, httpx2.RemoteProtocolError]
)
def test_p28_a_broken_connection_is_tried_again(error: type[httpx2.TransportError]) -> None:
    tries: list[int] = []

    def handler(_request: httpx2.Request) -> httpx2.Response:
        tries.append(1)
        if len(tries) < 3:
            raise error("broken")
        return httpx2.Response(200, json=HELD)

    assert ask(client_for(handler)).state == "held"


def test_a_refusal_is_not_tried_again() -> None:
    tries: list[int] = []

    def handler(_request: httpx2.Request) -> httpx2.Response:
        tries.append(1)
        body = {"code": "insufficient_balance", "detail": "Too few.", "ask": "Ask Olga.",
                "retry_at": "2026-11-30T00:00:00+00:00"}  # fmt: skip
        return httpx2.Response(409, json=body)

    with pytest.raises(ServiceRefused) as caught:
        ask(client_for(handler))
    assert (caught.value.code, caught.value.ask, len(tries)) == (
        "insufficient_balance", "Ask Olga.", 1)  # fmt: skip
    assert caught.value.retry_at is not None
    assert caught.value.retry_at.tzinfo is not None


def test_a_newer_services_refusal_is_a_refusal() -> None:
    body = {"code": "exam_week", "detail": "There is an exam."}
    with pytest.raises(ServiceRefused, match="exam_week"):
        ask(client_for(lambda _: httpx2.Response(409, json=body)))


def test_p27_a_service_that_hangs_costs_its_budget_and_the_next_call_nothing() -> None:
    async def hang(_request: httpx2.Request) -> httpx2.Response:
        await asyncio.sleep(60)
        raise AssertionError("unreachable")

    async def two_calls() -> tuple[float, float]:
        client = client_for(hang, spawn_budget_s=0.3)
        spent = []
        for _ in range(2):
            began = time.monotonic()
            with pytest.raises(ServiceUnavailable):
                await client.request_lease(LEASE_ID, WANTED)
            spent.append(time.monotonic() - began)
        return spent[0], spent[1]

    first, second = run(two_calls())
    assert 0.25 < first < 2
    assert second < 0.1


@pytest.mark.usefixtures("quick_retries")
def test_the_breaker_closes_again_when_the_service_answers() -> None:
    now = [0.0]
    healthy = [False]

    def handler(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json=HELD) if healthy[0] else httpx2.Response(500)

    async def story() -> None:
        client = client_for(handler, breaker=Breaker(open_for_s=5, monotonic=lambda: now[0]))
        with pytest.raises(ServiceUnavailable, match="500"):
            await client.request_lease(LEASE_ID, WANTED)
        healthy[0] = True
        with pytest.raises(ServiceUnavailable, match="a moment ago"):
            await client.request_lease(LEASE_ID, WANTED)
        now[0] = 6
        assert (await client.request_lease(LEASE_ID, WANTED)).state == "held"
        assert (await client.request_lease(LEASE_ID, WANTED)).state == "held"

    run(story())
