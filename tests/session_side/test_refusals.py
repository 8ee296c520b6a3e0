"""Whose token opens what: a session's the listener alone, a person's never the listener.

What code in a session can read opens as little as it can (promises P36, P37).
"""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from api.pace import Pace
from api.pages.addresses import PREFIX as PAGES
from api.session_side.caller import Paces
from api.session_side.routes import router
from tests.api.desk import ADMISSION_SECRET, problem
from tests.api.hub import ACCESS, ORGANIZER_SCOPES, user
from tests.pages.browser import browser_of
from tests.session_side.side import SESSION_TOKEN, Side, open_side, session_scopes

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)

ACTIVITY, OWN = "users:activity!user=ada", "access:servers!server=ada/"
WHOLE = "access:servers!user=ada"

# What the hub says of a token, and what the listener says to it.
STRANGERS: dict[str, tuple[dict[str, Any], int]] = {
    "a person's own": (user("ada", ACCESS, WHOLE, ACTIVITY), 403),
    "an organizer's": (user("olga", *ORGANIZER_SCOPES), 403),
    "an administrator's": (user("ada", ACCESS, "access:servers"), 403),
    "a page's": (user("ada", ACCESS), 403),
    "of two servers": (user("ada", ACCESS, OWN, "access:servers!server=ada/second"), 403),
    "of a server and more": (user("ada", ACCESS, OWN, "access:servers!server=blaise/"), 403),
    "of another's server": (user("ada", ACCESS, "access:servers!server=blaise/"), 403),
    "of somebody whose name begins so": (user("ad", ACCESS, "access:servers!server=ada/"), 403),
    "of a session before this version": (user("ada", ACTIVITY, OWN), 403),
    "a visitor's at the session": (user("tomas", OWN), 403),
    "a service's": (user("ada", ACCESS, OWN, kind="service"), 403),
    "without a name": ({"kind": "user", "scopes": [ACCESS, OWN]}, 401),
    "without scopes": ({"kind": "user", "name": "ada"}, 401),
}


def test_p37_only_a_sessions_own_token_is_good_at_the_listener(side: Side) -> None:
    side.desk.books.run("ada", "cpu")
    for which, (said, status) in STRANGERS.items():
        side.desk.hub.tokens[which.replace(" ", "-")] = said
        code = {403: "forbidden", 401: "not_signed_in"}[status]
        for method, path in routes_of_listener():
            problem(side.call(method, path, which.replace(" ", "-")), status, code)
    assert side.facts()["session"]["state"] == "active"


def test_p37_nor_is_the_hubs_secret_or_nothing(side: Side) -> None:
    side.desk.books.run("ada", "cpu")
    for token in (ADMISSION_SECRET, "unknown", "", None, "x" * 600, "a b"):
        for method, path in routes_of_listener():
            problem(side.call(method, path, token), 401, "not_signed_in")


def routes_of_listener() -> list[tuple[str, str]]:
    """Name each route once; a PUT without a body would be answered before anybody is asked."""
    found = [("GET", "/facts"), ("GET", "/why"), ("PUT", "/keep"), ("PUT", "/done"),
             ("PUT", f"/help/{uuid4()}/withdraw"), ("PUT", f"/attachments/{uuid4()}/end"),
             ("PUT", "/labs/week-1/passed")]  # fmt: skip
    assert len(found) + 1 == len(router.routes), "the one more raises a hand, with a body"
    return found


def test_p37_nobody_else_raises_a_hand(side: Side) -> None:
    side.desk.books.run("ada", "cpu")
    for token in ("token-ada", "token-olga", ADMISSION_SECRET):
        body = {"message": "x"}
        reply = side.call("PUT", f"/help/{uuid4()}", token, json=body)
        assert reply.status_code in (401, 403), token
    assert side.facts()["help"] is None


# -- a session's token at everything else ------------------------------------------------------


def test_p36_a_sessions_token_signs_nobody_in_to_the_pages(side: Side) -> None:
    side.desk.books.run("ada", "cpu")
    browser = browser_of(side.desk)
    refused = browser.sign_in(SESSION_TOKEN, "hours")
    assert refused.status_code == 403, refused.text
    assert browser.get("hours").status_code == 303, "nobody is signed in"
    # Nor does one that takes the place of a person's later on.
    ada = browser_of(side.desk, "token-ada")
    assert ada.get("hours").status_code == 200
    side.desk.hub.tokens["token-ada"] = side.desk.hub.tokens[SESSION_TOKEN]
    side.desk.app.state.identities._known.clear()
    assert ada.get("hours").status_code == 403
    by_header = {"Authorization": f"token {SESSION_TOKEN}"}
    page = side.desk.client.get(f"{PAGES}/hours", headers=by_header, follow_redirects=False)
    assert page.status_code == 303


def test_p36_the_listener_has_no_other_route(side: Side) -> None:
    for path in ("/v1/accounts/ada", "/services/gpulab/hours", "/healthz", "/metrics", "/readyz",
                 "/openapi.json", "/docs", "/v1/openapi.json", "/"):  # fmt: skip
        for token in (SESSION_TOKEN, "token-olga", ADMISSION_SECRET):
            reply = side.client.get(path, headers={"Authorization": f"token {token}"})
            assert reply.status_code == 404, (path, token)


def test_p36_a_revoked_token_is_dead_within_the_cache(engine: Engine, tmp_path: Path) -> None:
    with open_side(engine, tmp_path / "lab", identity_cache_s=0) as side:
        side.desk.books.run("ada", "cpu")
        assert side.call("GET", "/facts").status_code == 200
        del side.desk.hub.tokens[SESSION_TOKEN]
        problem(side.call("GET", "/facts"), 401, "not_signed_in")


@pytest.mark.parametrize("broken", ["refused", "garbage", "500"])
def test_a_broken_hub_is_503_and_never_somebody(side: Side, broken: str) -> None:
    side.desk.hub.broken = broken
    reply = side.call("GET", "/facts")
    problem(reply, 503, "hub_unavailable")
    assert reply.headers["retry-after"]


def test_p46_the_token_is_in_no_answer_and_no_log(
    side: Side, capsys: pytest.CaptureFixture[str]
) -> None:
    side.desk.books.run("ada", "cpu")
    texts = [side.call(method, path).text for method, path in routes_of_listener()]
    texts.append(side.ask().text)
    out = "".join(capsys.readouterr())
    assert SESSION_TOKEN not in out + "".join(texts)


# -- bodies, addresses, pace ------------------------------------------------------------------

HOSTILE: tuple[object, ...] = (
    {"message": ""}, {"message": "x" * 501}, {"message": "a\x00b"}, {"message": "a\nb"},
    {"message": 7}, {"message": None}, {}, [], "text", None, {"message": "x", "path": "y" * 1001},
    {"message": "x", "path": "a\rb"}, {"message": "x", "more": 1},
    {"message": "x", "server_name": "second"}, {"message": "   "},
)  # fmt: skip


def test_p44_hostile_bodies_do_nothing(side: Side) -> None:
    side.desk.books.run("ada", "cpu")
    texts = [json.dumps(body).encode() for body in HOSTILE]
    for text in (*texts, b"", b"{", b"\xff\xfe", b'{"message": "\\ud800"}', b"[" * 5000):
        reply = side.call("PUT", f"/help/{uuid4()}", content=text,
                          headers={"Content-Type": "application/json"})  # fmt: skip
        assert reply.status_code in (400, 422), (text, reply.text)
        assert reply.headers["content-type"] == "application/problem+json"
    assert side.facts()["help"] is None


def test_p47_large_bodies_are_not_taken_in(side: Side) -> None:
    side.desk.books.run("ada", "cpu")
    parts = (b" " * 4096 for _ in range(100))
    for body in (b" " * 10_000_000, parts):
        reply = side.call("PUT", f"/help/{uuid4()}", content=body,
                          headers={"Content-Type": "application/json"})  # fmt: skip
        problem(reply, 413, "too_large")


def test_p44_odd_addresses_are_refused_plainly(side: Side) -> None:
    side.desk.books.run("ada", "cpu")
    for path in ("/help/nonsense", "/help/%00", "/labs/..%2f..%2fetc/passed",
                 "/labs/%0aweek-1/passed", f"/labs/{'w' * 300}/passed", "/attachments/1/end",
                 "/labs/WEEK-1/passed"):  # fmt: skip
        reply = side.put(path, {"message": "x"})
        assert reply.status_code in (404, 405, 422), (path, reply.text)
        assert reply.headers["content-type"] == "application/problem+json"
    assert side.facts()["labs_passed"] == []


def test_p47_one_session_that_asks_without_end_takes_nothing_from_others(side: Side) -> None:
    side.desk.hub.tokens["blaise"] = user("blaise", *session_scopes("blaise"))
    side.desk.books.run("ada", "cpu")
    side.desk.books.run("blaise", "cpu")
    paces = Paces(sessions=Pace(per_s=1, burst=5), strangers=Pace(per_s=1, burst=5))
    side.app.state.paces = paces
    statuses = [side.call("GET", "/facts").status_code for _ in range(20)]
    assert statuses[:5] == [200] * 5
    assert statuses.count(429) >= 14
    refused = side.call("GET", "/facts")
    problem(refused, 429, "too_many_requests")
    assert refused.headers["retry-after"] == "1"
    assert side.call("GET", "/facts", "blaise").status_code == 200
    # A session's pace is its own: the person's pages go on.
    assert side.desk.get("/v1/accounts/ada", "token-ada").status_code == 200


def test_p47_unknown_tokens_cost_the_hub_no_more_than_a_pace(side: Side) -> None:
    side.desk.books.run("ada", "cpu")
    assert side.call("GET", "/facts").status_code == 200
    paces = Paces(sessions=Pace(per_s=0, burst=1), strangers=Pace(per_s=1, burst=5))
    side.app.state.paces = paces
    before = side.desk.hub.calls
    statuses = [side.call("GET", "/facts", f"guess-{n}").status_code for n in range(50)]
    assert statuses[:5] == [401] * 5
    assert set(statuses[5:]) <= {401, 429}
    assert side.desk.hub.calls - before <= 7
    # Who is known already is not held up by whoever guesses at the same address.
    assert side.call("GET", "/facts").status_code == 200
