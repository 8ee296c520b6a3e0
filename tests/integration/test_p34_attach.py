"""P34, P35: a TA comes into a scholar's session for as long as the books say, and no longer.

With a real hub, proxy, service and worker, and sessions as processes.
"""

import base64
import hashlib
import json
import re
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import uuid4

import httpx2
import pytest
import websocket

from lab.trial.running import RunningLab
from lab.trial.text import lab_text
from lab.trial.visitor import Visitor
from lab.trial.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.long]

# What is promised for the end of an attachment, by hand or by time.
_OUT_WITHIN_S = 10.0
_EUROPE = "  europe: {title: Europe, time_zone: Europe/Berlin, tas: [tilda], scholars: [fei]}\n"
_VERIFIER = "x" * 64


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    text = lab_text().replace("sections:\n", f"sections:\n{_EUROPE}")
    with RunningLab(tmp_path_factory.mktemp("attach"), text=text) as running:
        yield running


@pytest.fixture(scope="module")
def ada(lab: RunningLab) -> Visitor:
    one = lab.logged_in("ada")
    one.start("cpu", within_s=90)
    return one


@pytest.fixture(scope="module")
def tomas(lab: RunningLab) -> Visitor:
    return lab.logged_in("tomas")


def attach(lab: RunningLab, ta: Visitor, mode: str = "co_edit", *, minutes: int = 30) -> str:
    """Attach to ada's session; it has told the lab that it keeps visitors soon after its start."""
    body = {"hub_id": lab.hub_id, "account": "ada", "server_name": "", "mode": mode,
            "minutes": minutes, "reason": "asked for help"}  # fmt: skip

    def attached() -> httpx2.Response | None:
        path = f"/v1/attachments/{uuid4()}"
        reply = lab.service("PUT", path, token=ta.token, json=body)
        is_early = reply.status_code == 409 and "just started" in reply.text
        return None if is_early else reply

    reply = wait_for("a session that keeps visitors", attached, within_s=30)
    assert reply is not None
    assert reply.status_code == 200, reply.text
    assert reply.json()["may_enter"] is True
    return str(reply.json()["id"])


def end(lab: RunningLab, who: Visitor, attachment_id: str) -> None:
    path = f"/v1/attachments/{attachment_id}/end"
    reply = lab.service("PUT", path, token=who.token)
    assert reply is not None
    assert reply.status_code == 200, reply.text
    assert reply.json()["may_enter"] is False


def status(visitor: Visitor, url: str) -> int:
    """Ask a session with the visitor's own cookies, as a page in the browser does."""
    reply = visitor.browser.get(f"{url}/api/status", follow_redirects=False)
    return reply.status_code


def ask(visitor: Visitor, url: str, method: str, path: str, **more: Any) -> int:
    """Ask a session with the visitor's own token."""
    reply = visitor.browser.request(
        method, f"{url}/{path}", headers={"Authorization": f"token {visitor.token}"},
        follow_redirects=False, **more,
    )  # fmt: skip
    return reply.status_code


def enter(visitor: Visitor, url: str) -> httpx2.Response:
    """Open a session in the browser and agree on the hub's page that asks for it."""
    page = visitor.browser.get(f"{url}/lab")
    if "oauth2/authorize" not in str(page.url):
        return page
    return agree(visitor, page)


def agree(visitor: Visitor, page: httpx2.Response, **more: Any) -> httpx2.Response:
    fields = re.findall(r'name="(_xsrf|scopes)"\s+value="([^"]*)"', page.text)
    data: dict[str, list[str]] = {}
    for name, value in fields:
        data.setdefault(name, []).append(value)
    assert data.get("_xsrf"), page.text[:2000]
    place = urlsplit(str(page.url))
    return visitor.browser.post(
        str(page.url), data=data, headers={"Origin": f"{place.scheme}://{place.netloc}"}, **more
    )


def event_socket(visitor: Visitor, url: str) -> websocket.WebSocket:
    place = urlsplit(url)
    return websocket.create_connection(
        f"ws://127.0.0.1:{place.port}{place.path}/api/events/subscribe", host=place.netloc,
        header=[f"Authorization: token {visitor.token}"], timeout=30, suppress_origin=True,
    )  # fmt: skip


def closes_within(socket: websocket.WebSocket, within_s: float) -> float:
    """Return how long it took until the other side closed."""
    began = time.monotonic()
    socket.settimeout(within_s)
    try:
        while socket.recv():
            assert time.monotonic() - began < within_s
    except websocket.WebSocketConnectionClosedException:
        pass
    took_s = time.monotonic() - began
    assert took_s < within_s
    return took_s


def test_p34_a_ta_comes_in_and_is_out_ten_seconds_after_the_end(
    lab: RunningLab, ada: Visitor, tomas: Visitor
) -> None:
    url = ada.session_url
    assert status(tomas, url) in (302, 403)
    attached = attach(lab, tomas)
    assert enter(tomas, url).status_code == 200
    assert status(tomas, url) == 200
    assert ask(tomas, url, "PUT", "api/contents/note.txt",
               json={"type": "file", "format": "text", "content": "x"}) == 201  # fmt: skip
    with closing(event_socket(tomas, url)) as socket:
        end(lab, ada, attached)
        ended = time.monotonic()
        closes_within(socket, _OUT_WITHIN_S)
        wait_for("a closed door", lambda: status(tomas, url) == 403, within_s=_OUT_WITHIN_S)
        assert time.monotonic() - ended < _OUT_WITHIN_S
    assert ask(tomas, url, "GET", "api/contents") == 403
    assert shared_with(lab, "tomas") == []
    # The scholar never noticed.
    assert ask(ada, url, "GET", "api/contents") == 200


def test_p34_the_end_of_the_time_is_the_same(
    lab: RunningLab, ada: Visitor, tomas: Visitor
) -> None:
    url = ada.session_url
    attach(lab, tomas, minutes=1)
    began = time.monotonic()
    wait_for("the way in", lambda: ask(tomas, url, "GET", "api/status") == 200, within_s=10)
    with closing(event_socket(tomas, url)) as socket:
        closes_within(socket, 60 + _OUT_WITHIN_S)
        assert time.monotonic() - began > 55
    assert ask(tomas, url, "GET", "api/status") == 403
    wait_for("no share", lambda: not shared_with(lab, "tomas"), within_s=15)


def test_p34_who_observes_reads_and_changes_nothing(
    lab: RunningLab, ada: Visitor, tomas: Visitor
) -> None:
    url = ada.session_url
    attached = attach(lab, tomas, "observe")
    wait_for("the way in", lambda: ask(tomas, url, "GET", "api/status") == 200, within_s=10)
    kernel = ada.open_kernel()
    headers = {"Authorization": f"token {ada.token}"}
    (running,) = ada.browser.get(f"{url}/api/kernels", headers=headers).json()
    its = f"api/kernels/{running['id']}"
    note = {"type": "file", "format": "text", "content": "x"}
    refused = [
        ("PUT", "api/contents/evil.txt", note), ("PATCH", "api/contents/note.txt", {"path": "z"}),
        ("DELETE", "api/contents/note.txt", None), ("POST", "api/contents", {"type": "file"}),
        ("POST", "api/kernels", {}), ("POST", "api/terminals", {}),
        ("POST", f"{its}/interrupt", {}),
        ("DELETE", its, None), ("POST", "api/shutdown", {}),
        ("GET", f"{its}/channels", None),
        ("GET", "terminals/websocket/1", None), ("GET", "nbconvert/html/a.ipynb", None),
        ("PUT", "lab/api/workspaces/x", {}), ("POST", "api/sessions", {}),
        ("GET", "git-pull/api?repo=x", None),
    ]  # fmt: skip
    for method, path, body in refused:
        more = {} if body is None else {"json": body}
        assert ask(tomas, url, method, path, **more) == 403, (method, path)
    for path in ("api/contents", "api/kernels", "lab", "lab/api/settings", "api/me"):
        assert ask(tomas, url, "GET", path) == 200, path
    assert kernel.run("print(1)") == "1\n"
    kernel.socket.close()
    end(lab, tomas, attached)


def test_p34_a_ta_of_another_section_never_comes_in(lab: RunningLab, ada: Visitor) -> None:
    tilda, url = lab.logged_in("tilda"), ada.session_url
    body = {"hub_id": lab.hub_id, "account": "ada", "server_name": "", "mode": "observe",
            "minutes": 5, "reason": "curious"}  # fmt: skip
    reply = lab.service("PUT", f"/v1/attachments/{uuid4()}", token=tilda.token, json=body)
    assert reply.status_code == 404, reply.text
    assert ask(tilda, url, "GET", "api/status") == 403
    # Nor by the hub's own means: people have no right to share.
    share = ada.api("POST", "/shares/ada/", json={"user": "tilda"})
    assert share.status_code in (403, 404)


def test_p35_what_a_hostile_session_gets_of_a_ta_opens_that_session_only(
    lab: RunningLab, ada: Visitor, tomas: Visitor
) -> None:
    attached = attach(lab, tomas)
    own = json.loads(ada.run_cell(
        "import os, json; print(json.dumps({k: os.environ[k] for k in "
        "('JUPYTERHUB_CLIENT_ID', 'JUPYTERHUB_API_TOKEN', 'JUPYTERHUB_OAUTH_CALLBACK_URL')}))"
    ))  # fmt: skip
    answer = stolen_token(ada, tomas, own)
    assert answer["expires_in"] <= 3600
    stolen = {"Authorization": f"token {answer['access_token']}"}

    me = tomas.browser.get("/hub/api/user", headers=stolen).json()
    assert me["name"] == "tomas"
    assert {scope.split("!")[0] for scope in me["scopes"]} <= {
        "access:servers", "read:users:name", "read:users:groups"}  # fmt: skip
    assert [one for one in me["scopes"] if one.startswith("access:servers")] == [
        "access:servers!server=ada/"
    ]
    for method, path in (
        ("GET", "/users"), ("GET", "/users/ada"), ("GET", "/users/tomas/tokens"),
        ("POST", "/users/tomas/tokens"), ("POST", "/users/tomas/server"),
        ("DELETE", "/users/ada/server"), ("GET", "/groups"), ("GET", "/services"),
        ("GET", "/proxy"), ("GET", "/info"), ("GET", "/shares/ada"), ("POST", "/shares/ada/"),
        ("GET", "/users/tomas/shared"), ("POST", "/shutdown"),
    ):  # fmt: skip
        reply = tomas.browser.request(method, f"/hub/api{path}", headers=stolen, json={})
        assert reply.status_code in (403, 404), (method, path, reply.status_code)
    for path in ("accounts/tomas", "accounts/ada", "requests", "help-requests", "openapi.json"):
        reply = lab.service("GET", f"/v1/{path}", token=answer["access_token"])
        assert reply.status_code == 403, path
    blaise = lab.logged_in("blaise")
    blaise.start("cpu", within_s=90)
    for visitor, expected in ((blaise, 403), (ada, 200)):
        reply = tomas.browser.get(f"{visitor.session_url}/api/status", headers=stolen,
                                  follow_redirects=False)  # fmt: skip
        assert reply.status_code == expected, visitor.name
    end(lab, tomas, attached)
    blaise.stop()


def stolen_token(ada: Visitor, tomas: Visitor, own: dict[str, str]) -> dict[str, Any]:
    """Play the session's server towards the hub, as a hostile one would."""
    digest = hashlib.sha256(_VERIFIER.encode()).digest()
    query = urlencode({
        "client_id": own["JUPYTERHUB_CLIENT_ID"], "response_type": "code", "state": "x",
        "redirect_uri": own["JUPYTERHUB_OAUTH_CALLBACK_URL"], "code_challenge_method": "S256",
        "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
    })  # fmt: skip
    sent_back = tomas.browser.get(f"/hub/api/oauth2/authorize?{query}", follow_redirects=False)
    if sent_back.status_code == 200:
        # Who has agreed before is not asked again.
        sent_back = agree(tomas, sent_back, follow_redirects=False)
    assert sent_back.status_code == 302, sent_back.text[:2000]
    code = parse_qs(urlsplit(sent_back.headers["location"]).query)["code"][0]
    reply = ada.browser.post("/hub/api/oauth2/token", data={
        "client_id": own["JUPYTERHUB_CLIENT_ID"], "client_secret": own["JUPYTERHUB_API_TOKEN"],
        "grant_type": "authorization_code", "code": code, "code_verifier": _VERIFIER,
        "redirect_uri": own["JUPYTERHUB_OAUTH_CALLBACK_URL"],
    })  # fmt: skip
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def shared_with(lab: RunningLab, ta: str) -> list[Any]:
    token = (lab.state.secrets / "service_token").read_text().strip()
    reply = httpx2.get(
        f"http://127.0.0.1:{lab.port}/hub/api/users/{ta}/shared", trust_env=False, timeout=10,
        headers={"Host": lab.address.split("://")[1], "Authorization": f"token {token}"},
    )  # fmt: skip
    assert reply.status_code == 200, reply.text
    found: list[Any] = reply.json()["items"]
    return found
