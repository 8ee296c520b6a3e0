"""The hub's shares follow the attachments in the books, whatever is lost in between."""

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
import structlog

from api.hub_shares import HubShares, Share
from api.sharing import SharesWatch, Sharing, deeds
from quota.helping import Helping
from tests.api.desk import ApiDesk, problem
from tests.api.hub import FakeShares
from tests.api.office import open_session, put

BODY = {"hub_id": "main", "account": "ada", "server_name": "", "mode": "co_edit", "minutes": 30,
        "reason": "lab 2"}  # fmt: skip
SHARE = Share(owner="ada", server_name="", ta="tomas")
STRAY = Share(owner="blaise", server_name="", ta="tilda")


@pytest.fixture
def sharing(office: ApiDesk) -> Sharing:
    """The worker's half."""
    return Sharing(Helping(office.books.books), office.hub.shares)


@pytest.fixture
def running(office: ApiDesk) -> ApiDesk:
    lease_id, _ = office.books.run("ada", "cpu")
    open_session(office, lease_id)
    return office


def attach(desk: ApiDesk, attachment_id: UUID | None = None, **more: object) -> httpx2.Response:
    return put(desk, f"/v1/attachments/{attachment_id or uuid4()}", BODY | more, "token-tomas")


def end(desk: ApiDesk, attachment_id: str) -> httpx2.Response:
    return put(desk, f"/v1/attachments/{attachment_id}/end", None, "token-tomas")


def test_attaching_shares_exactly_that_server_with_exactly_that_ta(running: ApiDesk) -> None:
    made = attach(running).json()
    assert made["may_enter"] is True
    assert running.hub.shares.there == {SHARE}
    ended = end(running, made["id"]).json()
    assert ended["may_enter"] is False
    assert running.hub.shares.there == set()
    assert Helping(running.books.books).shared() == []


def test_p34_refusals_have_their_codes_and_share_nothing(running: ApiDesk) -> None:
    path = "/v1/accounts/ada/attach-consent"
    assert put(running, path, {"choice": "asking"}, "token-ada").json()["choice"] == "asking"
    said = problem(attach(running), 409, "attach_not_consented")
    assert "asking for help" in said["detail"]
    put(running, path, {"choice": "always"}, "token-ada")
    app: Any = running.client.app
    app.state.has_own_hosts = False
    said = problem(attach(running), 409, "attach_needs_subdomains")
    assert "act as you" in said["detail"]
    app.state.has_own_hosts = True
    account = running.get("/v1/accounts/ada").json()
    open_session(running, account["sessions"][0]["lease_id"], "It has another version.")
    problem(attach(running, mode="observe"), 409, "observe_not_possible")
    assert running.hub.shares.deeds == []


def test_a_hub_that_is_away_is_told_later(running: ApiDesk, sharing: Sharing) -> None:
    running.hub.shares.is_away = True
    made = attach(running).json()
    assert made["may_enter"] is None
    assert sharing.settle_all() is False
    running.hub.shares.is_away = False
    assert sharing.settle_all()
    assert running.hub.shares.there == {SHARE}
    running.hub.shares.is_away = True
    assert end(running, made["id"]).json()["may_enter"] is None
    assert sharing.settle_all() is False
    running.hub.shares.is_away = False
    assert sharing.settle_all()
    assert running.hub.shares.there == set()
    assert Helping(running.books.books).shared() == []


def test_the_end_of_the_time_and_of_the_session_take_the_share_back(
    running: ApiDesk, sharing: Sharing
) -> None:
    assert attach(running, minutes=5).status_code == 200
    running.books.go(minutes=5, every_s=60)
    sharing.settle_all()
    assert running.hub.shares.there == set()
    assert attach(running).status_code == 200
    (ref,) = running.books.containers
    running.books.finish(ref)
    running.books.tick()
    sharing.settle_all()
    assert running.hub.shares.there == set()


def test_a_share_that_nobody_made_is_found_in_turn(running: ApiDesk, sharing: Sharing) -> None:
    """As in a hub that was put back from a copy."""
    assert attach(running).status_code == 200
    running.hub.shares.there = {STRAY}
    for _tick in range(2):
        assert sharing.settle_all()
    assert running.hub.shares.there == {SHARE}


class Meddling(FakeShares):
    """A hub in whose silence somebody detaches."""

    meddle: Callable[[], object]

    def make(self, share: Share) -> bool:
        self.meddle()
        return super().make(share)


def test_who_detaches_while_the_share_is_made_is_not_let_in(running: ApiDesk) -> None:
    made = attach(running).json()
    hub = Meddling()
    hub.meddle = lambda: end(running, made["id"])
    assert Sharing(Helping(running.books.books), hub).settle_all()
    assert hub.there == set()
    assert [name for name, _ in hub.deeds] == ["make", "revoke"]


def test_only_what_was_looked_at_is_touched(running: ApiDesk) -> None:
    assert attach(running).status_code == 200
    shared = Helping(running.books.books).shared()
    nothing = deeds(shared, {"tilda": frozenset()}, running.books.clock.now())
    assert (nothing.make, nothing.revoke) == ((), ())
    wrong = Share(owner="dina", server_name="", ta="tomas")
    both = deeds(shared, {"tomas": frozenset({wrong})}, running.books.clock.now())
    assert (both.make, both.revoke) == ((SHARE,), (wrong,))


def test_the_watch_settles_after_each_tick_and_survives_a_fault(
    running: ApiDesk, sharing: Sharing, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert attach(running).status_code == 200
    running.hub.shares.there.clear()
    settled, faults = threading.Event(), [RuntimeError("a fault")]

    def settle_all() -> bool:
        if faults:
            raise faults.pop()
        result = Sharing.settle_all(sharing)
        settled.set()
        return result

    monkeypatch.setattr(sharing, "settle_all", settle_all)
    watch, stopped = SharesWatch(sharing), threading.Event()
    with structlog.testing.capture_logs() as logs:
        thread = threading.Thread(target=watch.run, args=(stopped,))
        thread.start()
        watch.ticked.set()
        while not settled.wait(0.01):
            watch.ticked.set()
        stopped.set()
        watch.ticked.set()
        thread.join(timeout=10)
    assert not thread.is_alive()
    assert running.hub.shares.there == {SHARE}
    assert [one["event"] for one in logs if one.get("alarm")] == ["shares_broken"]


# -- the hub's REST API -----------------------------------------------------------------------


def shares_of(answer: httpx2.Response | Exception) -> tuple[HubShares, list[httpx2.Request]]:
    asked: list[httpx2.Request] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    transport = httpx2.MockTransport(handle)
    return HubShares("http://hub/hub/api", "secret", transport=transport), asked


def test_shares_are_asked_for_as_the_hub_wants_it() -> None:
    share = Share(owner="a/b", server_name="lab-2", ta="ta@x")
    hub, asked = shares_of(httpx2.Response(200, json={}))
    assert hub.make(share)
    assert asked[0].method == "POST"
    assert asked[0].url.raw_path == b"/hub/api/shares/a%2Fb/lab-2"
    assert asked[0].content == b'{"user":"ta@x"}'
    assert asked[0].headers["authorization"] == "token secret"
    assert not hub.revoke(share), "the hub answers 204 to that"
    assert asked[1].method == "DELETE"
    assert asked[1].url.raw_path == b"/hub/api/users/ta%40x/shared/a%2Fb/lab-2"
    hub.close()


def test_what_the_hub_lists_is_read_and_group_shares_are_not_ours() -> None:
    def item(kind: str) -> dict[str, object]:
        return {"kind": kind, "server": {"name": "", "user": {"name": "ada"}}}

    hub, _ = shares_of(httpx2.Response(200, json={"items": [item("user"), item("group")]}))
    assert hub.of("tomas") == frozenset({SHARE})
    hub.close()


@pytest.mark.parametrize(
    ("answer", "found"),
    [(httpx2.Response(404, json={}), frozenset()), (httpx2.Response(503), None),
     (httpx2.Response(200, text="<html>"), None), (httpx2.Response(200, json=[1]), None),
     (httpx2.ConnectError("no"), None)],
)  # fmt: skip
def test_a_hub_that_says_nothing_useful(
    answer: httpx2.Response | Exception, found: frozenset[Share] | None
) -> None:
    hub, _ = shares_of(answer)
    assert hub.of("tomas") == found
    assert hub.revoke(SHARE) is (found is not None)
    assert hub.make(SHARE) is (isinstance(answer, httpx2.Response) and answer.status_code == 200)
    hub.close()
