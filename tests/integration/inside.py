"""What code in a session asks of the lab with what it finds: its environment, its network."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx2

from lab.trial.running import RunningLab
from lab.trial.visitor import Kernel, Visitor

_ASK = """
import json, os, urllib.error, urllib.request
def ask(method, path, body, token):
    request = urllib.request.Request(os.environ["GPULAB_SESSION_API"] + path, method=method,
        data=None if body is None else json.dumps(body).encode(), headers={
        "Authorization": "token " + (token or os.environ["JUPYTERHUB_API_TOKEN"]),
        "Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            return [reply.status, json.loads(reply.read() or "null")]
    except urllib.error.HTTPError as error:
        return [error.code, json.loads(error.read())]
"""
_TRY = """
import json, socket
def is_open(place):
    host, _, port = place.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=2).close()
        return True
    except OSError:
        return False
"""


@dataclass
class Inside:
    """Somebody's running session, from within."""

    visitor: Visitor
    kernel: Kernel

    def environment(self, name: str) -> str:
        """Return a variable as a kernel sees it."""
        return self.kernel.run(f"import os; print(os.environ[{name!r}], end='')")

    def ask(self, method: str, path: str, body: object = None, token: str = "") -> tuple[int, Any]:
        """Ask the session listener from a kernel, with the session's own token or another."""
        asked = f"ask({method!r}, {path!r}, {body!r}, {token!r})"
        status, found = json.loads(self.kernel.run(f"{_ASK}\nprint(json.dumps({asked}))"))
        return status, found

    def reaches(self, *places: str) -> set[str]:
        """Return which places take a connection from a kernel."""
        found = f"[one for one in {places!r} if is_open(one)]"
        return set(json.loads(self.kernel.run(f"{_TRY}\nprint(json.dumps({found}))")))


def nobody_else_asks_there(lab: RunningLab, inside: Inside) -> None:
    """Try a person's token and the hub's secret, and the other ports of the lab."""
    secret = (lab.state.secrets / "admission_token").read_text().strip()
    for token, status in ((inside.visitor.token, 403), (secret, 401), ("none", 401)):
        assert inside.ask("GET", "/facts", token=token)[0] == status
    host = urlsplit(inside.environment("GPULAB_SESSION_API")).hostname
    closed = (lab.service_port, lab.port, lab.proxy_api_port)
    its = {f"{host}:{port}" for port in (lab.hub_port, lab.session_listener_port)}
    opened = inside.reaches(*its, *(f"{host}:{port}" for port in closed))
    assert its <= opened
    # A process of this machine reaches everything on it; a container, these two ports.
    assert lab.spawner == "process" or opened == its


def its_token_is_no_persons(lab: RunningLab, inside: Inside) -> None:
    """Try the session's token at the service, and where the hub gives people tokens."""
    name = inside.visitor.name
    token = inside.environment("JUPYTERHUB_API_TOKEN")
    headers = {"Authorization": f"token {token}", "Host": lab.address.split("://")[1]}
    hub = httpx2.Client(base_url=f"http://127.0.0.1:{lab.port}", trust_env=False, timeout=20,
                        headers=headers)  # fmt: skip
    its_host = f"gpulab--service.{headers['Host']}"
    with hub:
        scopes = set(hub.get("/hub/api/user").json()["scopes"])
        assert {f"access:servers!server={name}/", "access:services!service=gpulab"} <= scopes
        # The others say who its scholar is, as whoever has a token may ask.
        assert {one.partition("!")[0] for one in scopes} <= {
            "access:servers", "access:services", "users:activity", "read:users:activity",
            "read:users:name", "read:users:groups",
        }, scopes  # fmt: skip
        for path in (f"accounts/{name}", "requests", "help-requests", "openapi.json", "grants"):
            reply = lab.service("GET", f"/v1/{path}", token=token)
            assert reply.status_code == 403, path
            through_proxy = hub.get(f"/services/gpulab/v1/{path}", headers={"Host": its_host})
            assert through_proxy.status_code == 403, path
        assert hub.post(f"/hub/api/users/{name}/tokens", json={}).status_code == 403
        asked = {"client_id": "service-gpulab", "response_type": "code", "state": "x",
                 "code_challenge": "x" * 43, "code_challenge_method": "S256"}  # fmt: skip
        sent = hub.get(f"/hub/api/oauth2/authorize?{urlencode(asked)}", follow_redirects=False)
        assert sent.status_code == 302, sent.text
        assert "/hub/login" in sent.headers["location"]
