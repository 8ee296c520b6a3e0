"""What the notebook's page asks and tells through the session's server, and who may."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_server.auth import AllowAllAuthorizer, IdentityProvider, User
from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application

from tests.browser.listener import FakeListener, Mood
from tests.images.session_part import on_the_path, part

HELP = "11111111-1111-4111-8111-111111111111"
_XSRF = "2|aaaaaaaa|bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb|1700000000"


@pytest.fixture(scope="module", autouse=True)
def _on_the_path() -> Iterator[None]:
    with on_the_path():
        yield


@pytest.fixture
def lab() -> Iterator[FakeListener]:
    with FakeListener().running() as running:
        yield running


class Provider(IdentityProvider):
    """Believes what somebody says of themselves."""

    def get_user(self, handler: Any) -> User | None:
        name = handler.request.headers.get("X-Who")
        return User(username=name) if name else None


Ask = Callable[..., Awaitable[HTTPResponse]]


def play(lab: FakeListener, scene: Callable[[Ask], Awaitable[None]]) -> None:
    """Serve the routes of ada's session, which tomas observes, and let somebody ask."""

    async def run() -> None:
        app = Application([], base_url="/user/ada/", identity_provider=Provider(),
                          authorizer=AllowAllAuthorizer(), allow_remote_access=True,
                          xsrf_cookies=True, cookie_secret=b"x" * 32)  # fmt: skip
        server = SimpleNamespace(base_url="/user/ada/", web_app=app)
        listener = part("listener").open_listener()
        modes = {"tomas": "observe", "tilda": "co_edit"}
        part("routes").add_routes(server, listener, owner="ada", image="base",
                                  mode_of=lambda name: modes.get(name, ""))  # fmt: skip
        socket, port = bind_unused_port()
        http = HTTPServer(app)
        http.add_sockets([socket])
        client = AsyncHTTPClient(force_instance=True)

        async def ask(who: str, method: str, path: str, body: Any = None,
                      xsrf: str = _XSRF) -> HTTPResponse:  # fmt: skip
            headers = {"X-Who": who, "Cookie": f"_xsrf={_XSRF}", "X-XSRFToken": xsrf}
            request = HTTPRequest(
                f"http://127.0.0.1:{port}/user/ada/gpulab/{path}", method, headers=headers,
                body=None if method == "GET" else json.dumps(body), request_timeout=20,
            )  # fmt: skip
            return await client.fetch(request, raise_error=False)

        try:
            await scene(ask)
        finally:
            client.close()
            http.stop()
            await http.close_all_connections()

    asyncio.run(run())


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, lab: FakeListener) -> None:
    monkeypatch.setenv("GPULAB_SESSION_API", lab.address)
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "t")


def body_of(reply: HTTPResponse) -> Any:
    return json.loads(reply.body)


def test_the_owner_sees_everything_and_all_tabs_share_an_answer(lab: FakeListener) -> None:
    async def scene(ask: Ask) -> None:
        first, second = await asyncio.gather(
            ask("ada", "GET", "facts"), ask("ada", "GET", "facts")
        )
        seen = body_of(first)
        assert seen["answered"] is True
        assert (seen["viewer"], seen["image"]) == ("owner", "base")
        assert seen["balance"]["granted_mgpu_ms"] > 0
        assert body_of(second)["age_ms"] >= seen["age_ms"] >= 0
        assert len(lab.asked) == 1
        reply = await ask("ada", "PUT", f"help/{HELP}", {"message": "NaN", "path": "a.ipynb"})
        assert (reply.code, body_of(reply)["place"]) == (200, 2)
        assert lab.told == [(f"help/{HELP}", {"message": "NaN", "path": "a.ipynb"})]
        assert body_of(await ask("ada", "GET", "facts"))["help"]["message"] == "NaN"
        assert len(lab.asked) == 2, "after a change it is asked anew"

    play(lab, scene)


def test_p34_visitors_learn_of_their_own_visit_and_change_nothing(lab: FakeListener) -> None:
    lab.say(attached=[{"id": HELP, "ta": "tomas", "mode": "observe"},
                      {"id": HELP, "ta": "tilda", "mode": "co_edit"}])  # fmt: skip

    async def scene(ask: Ask) -> None:
        seen = body_of(await ask("tomas", "GET", "facts"))
        assert set(seen) == {"answered", "viewer", "scholar", "server_time", "age_ms", "attached"}
        assert (seen["viewer"], seen["scholar"]) == ("observe", "ada")
        assert [one["ta"] for one in seen["attached"]] == ["tomas"]
        for who in ("tomas", "tilda"):
            for path in ("keep", "done", f"help/{HELP}", f"help/{HELP}/withdraw",
                         f"attachments/{HELP}/end"):  # fmt: skip
                assert (await ask(who, "PUT", path, {})).code == 403, (who, path)
        assert (await ask("", "GET", "facts")).code == 403

    play(lab, scene)
    assert lab.told == []


def test_what_another_site_sends_is_refused(lab: FakeListener) -> None:
    async def scene(ask: Ask) -> None:
        assert (await ask("ada", "PUT", "done", {}, xsrf="")).code == 403
        assert (await ask("ada", "PUT", "done", {})).code == 202

    play(lab, scene)
    assert lab.told == [("done", {})]


def test_only_what_is_meant_is_passed_on(lab: FakeListener) -> None:
    async def scene(ask: Ask) -> None:
        for path in (
            "labs/week-1/passed",
            "help/../done",
            "help/x",
            f"help/{HELP}/claim",
            "facts",
        ):
            assert (await ask("ada", "PUT", path, {})).code in (404, 405), path
        assert (await ask("ada", "PUT", f"attachments/{HELP}/end", {})).code == 204
        assert (await ask("ada", "PUT", f"help/{HELP}", {"message": "x" * 20_000})).code == 413

    play(lab, scene)
    assert lab.told == [(f"attachments/{HELP}/end", {})]


@pytest.mark.parametrize(
    ("mood", "code"),
    [("500", "unavailable"), ("garbage", "unavailable"), ("silent", "unavailable"),
     ("huge", "unavailable"), ("no lease", "no_such_thing")],
)  # fmt: skip
def test_p30_a_lab_that_does_not_answer_well_is_away(
    lab: FakeListener, mood: Mood, code: str
) -> None:
    lab.mood = mood

    async def scene(ask: Ask) -> None:
        began = time.monotonic()
        reply = await ask("ada", "GET", "facts")
        assert time.monotonic() - began < 8
        assert reply.code == 200
        seen = body_of(reply)
        assert (seen["answered"], seen["code"]) == (False, code)
        assert len(reply.body) < 1_000
        await ask("ada", "GET", "facts")
        assert len(lab.asked) == 1, "who is away is not asked again at once"
        told = await ask("ada", "PUT", "done", {})
        assert told.code == (404 if mood == "no lease" else 503)
        lab.mood = "well"
        assert body_of(await ask("ada", "GET", "facts"))["answered"] is True

    play(lab, scene)


@pytest.mark.parametrize("address", ["", "file:///etc/hosts"])
def test_a_lab_whose_address_is_not_known_is_away(
    lab: FakeListener, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("GPULAB_SESSION_API", address)

    async def scene(ask: Ask) -> None:
        assert body_of(await ask("ada", "GET", "facts"))["answered"] is False
        assert body_of(await ask("tomas", "GET", "facts"))["viewer"] == "observe"

    play(lab, scene)
