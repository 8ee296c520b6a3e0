"""What every answer carries, whatever it answers."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import Engine
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.testing import capture_logs

from api.envelope import SAFE_HEADERS, Envelope
from api.pages.addresses import PREFIX as PROXY_PREFIX
from tests.api.desk import ApiDesk, open_service, problem

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/metrics", "/v1/accounts/ada", "/nowhere", "/v1/leases/x"]
)
def test_every_answer_has_safe_headers_and_an_id(service: ApiDesk, path: str) -> None:
    reply = service.get(path)
    for name, value in SAFE_HEADERS:
        assert reply.headers[name.decode()] == value.decode()
    assert len(reply.headers["x-request-id"]) == 32
    assert "server" not in reply.headers


@pytest.mark.parametrize(
    ("sent", "is_taken"),
    [("hub-12345678", True), ("short", False), ("x" * 65, False), ("a b c d e f", False)],
)
def test_a_request_id_is_taken_over_if_it_is_one(
    service: ApiDesk, sent: str, is_taken: bool
) -> None:
    reply = service.call("GET", "/nowhere", headers={"X-Request-ID": sent})
    assert (problem(reply, 404, "not_found")["request_id"] == sent) == is_taken


def test_a_mistake_of_ours_is_500_without_internals(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_service(engine, tmp_path) as service:

        def broken(*_: Any, **__: Any) -> None:
            raise RuntimeError("the secret recipe")

        monkeypatch.setattr(service.app.state.books, "account", broken)
        with capture_logs() as logs:
            reply = service.get("/v1/accounts/ada")
    body = problem(reply, 500, "internal")
    failed = next(one for one in logs if one["event"] == "request_failed")
    assert (failed["log_level"], failed["exc_info"]) == ("error", True)
    assert body["request_id"]
    assert "recipe" not in reply.text


def test_p08_an_answer_that_takes_too_long_is_503_and_the_work_goes_on(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, went_on = threading.Event(), threading.Event()
    with open_service(engine, tmp_path, answer_within_s=2.0) as service:

        def slow() -> None:
            assert go_on.wait(10)
            went_on.set()

        monkeypatch.setattr(service.app.state.books, "ping", slow)
        reply = service.get("/readyz")
        problem(reply, 503, "unavailable")
        assert reply.headers["retry-after"] == "5"
        assert service.get("/healthz").status_code == 200
        go_on.set()
        assert went_on.wait(10)


@pytest.mark.anyio
async def test_an_answer_that_has_begun_may_take_its_time(engine: Engine) -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(0.3)
        await send({"type": "http.response.body", "body": b"whole"})

    transport = httpx2.ASGITransport(Envelope(app, answer_within_s=0.05))
    async with httpx2.AsyncClient(transport=transport, base_url="http://x") as client:
        reply = await client.get("/")
    assert (reply.status_code, reply.text) == (200, "whole")


async def _status_of(app: ASGIApp, path: str) -> int:
    """Ask for a path as it is; a client would tidy it up before it sends it."""
    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(),
             "query_string": b"", "headers": [], "http_version": "1.1", "scheme": "http",
             "server": ("service", 80), "client": ("127.0.0.1", 1)}  # fmt: skip
    statuses: list[int] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(scope, receive, send)
    return statuses[0]


@pytest.mark.anyio
async def test_metrics_are_not_reachable_through_the_hubs_proxy(service: ApiDesk) -> None:
    app = service.client.app
    assert await _status_of(app, "/metrics") == 200
    for path in ("/metrics", "/healthz", "/readyz", "/../../metrics", "/%2e%2e/%2e%2e/metrics",
                 "//metrics", "/v1/../../../metrics", "/openapi.json"):  # fmt: skip
        assert await _status_of(app, PROXY_PREFIX + path) == 404, path


def test_p46_metrics_name_nobody_and_keep_the_naming_rule(service: ApiDesk) -> None:
    service.ask("ada")
    service.grant("blaise")
    text = service.get("/metrics", None).text
    for name in ("ada", "blaise", "olga", "chen", "utc"):
        assert f'"{name}"' not in text
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert names
    assert all(name.startswith("gpulab_") for name in names)
    assert 'gpulab_sessions{flavor="whole",state="held"} 1.0' in text
    assert "gpulab_books_up 1.0" in text
