"""A person with a browser, as far as a test needs one: cookies, forms, the REST API, kernels."""

import json
import re
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import uuid4

import httpx2
import websocket

from lab.trial.waiting import wait_for

_TIMEOUT_S = 30.0


class _ToLoopback(httpx2.HTTPTransport):
    """Sends `anything.localhost` to this machine, as browsers do and programs do not."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        host = request.url.host
        if not host.endswith(".localhost"):
            return super().handle_request(request)
        here = httpx2.Request(
            request.method, request.url.copy_with(host="127.0.0.1"), headers=request.headers,
            stream=request.stream, extensions=request.extensions,
        )  # fmt: skip
        return super().handle_request(here)


class Visitor:
    """One person's browser and API client at one lab."""

    def __init__(self, address: str, name: str, password: str) -> None:
        self.name = name
        self._password = password
        self.browser = httpx2.Client(
            base_url=address, transport=_ToLoopback(), follow_redirects=True, timeout=_TIMEOUT_S,
            trust_env=False,
        )  # fmt: skip
        self._token = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None,
                 _trace: TracebackType | None) -> None:  # fmt: skip
        self.close()

    def close(self) -> None:
        """Close the browser."""
        self.browser.close()

    def log_in(self, password: str | None = None) -> httpx2.Response:
        """Fill in the login form."""
        form = self.browser.get("/hub/login")
        fields = {"username": self.name, "password": password or self._password,
                  "_xsrf": _hidden(form.text)}  # fmt: skip
        return self.browser.post("/hub/login?next=%2Fhub%2Fhome", data=fields)

    def page(self, path: str) -> str:
        """Return the text of a page of the hub."""
        reply = self.browser.get(path)
        reply.raise_for_status()
        return reply.text

    def submit_spawn_form(self, flavor: str, image: str = "base") -> httpx2.Response:
        """Choose on the spawn page and press Start."""
        page = self.page("/hub/spawn")
        found = re.search(r'<form[^>]*action="([^"]*spawn[^"]*)"', page)
        assert found, page[:2000]
        action = found[1].replace("&amp;", "&")
        return self.browser.post(action, data={"flavor": flavor, "image": image})

    @property
    def token(self) -> str:
        """A token of this person's own, made as on the token page."""
        if not self._token:
            xsrf = self.xsrf()
            reply = self.browser.post(
                f"/hub/api/users/{self.name}/tokens", json={"note": "test", "expires_in": 3600},
                headers={"X-XSRFToken": xsrf},
            )  # fmt: skip
            assert reply.status_code in (200, 201), reply.text
            self._token = reply.json()["token"]
        return self._token

    def xsrf(self) -> str:
        """Return what the hub's pages send along to show that they are its own."""
        kept = self.browser.cookies.get("_xsrf", path="/hub/")
        return kept or _hidden(self.page("/hub/token"))

    def api(self, method: str, path: str, **kind: Any) -> httpx2.Response:
        """Call the hub's REST API as this person."""
        headers = {"Authorization": f"token {self.token}"}
        return self.browser.request(method, f"/hub/api{path}", headers=headers, **kind)

    def spawn(self, flavor: str, image: str = "base") -> httpx2.Response:
        """Ask for a session by the API; 201 when it runs already, 202 while it starts."""
        body = {"user_options": {"flavor": flavor, "image": image}}
        return self.api("POST", f"/users/{self.name}/server", json=body)

    def start(self, flavor: str, *, within_s: float = 60) -> None:
        """Ask for a session and wait until it runs."""
        reply = self.spawn(flavor)
        assert reply.status_code in (201, 202), reply.text
        wait_for(f"{self.name}'s session", self.is_running, within_s=within_s)

    def stop(self, *, within_s: float = 30) -> None:
        """Press Stop and wait until the hub says that it is gone."""
        reply = self.api("DELETE", f"/users/{self.name}/server")
        assert reply.status_code in (202, 204), reply.text
        wait_for(f"end of {self.name}'s session", lambda: self.server() is None, within_s=within_s)

    def server(self) -> dict[str, Any] | None:
        """Return the hub's opinion of the session; None when there is none."""
        servers = self.api("GET", f"/users/{self.name}").json().get("servers") or {}
        return servers.get("")

    def is_running(self) -> bool:
        """Tell whether the hub says that the session is ready."""
        server = self.server()
        return bool(server and server["ready"])

    @property
    def session_url(self) -> str:
        """Where the running session is."""
        server = self.server()
        assert server, "no session"
        return str(server["full_url"]).rstrip("/")

    def run_cell(self, code: str) -> str:
        """Run code in a new kernel through the proxy; return what it printed."""
        with self.open_kernel() as kernel:
            return kernel.run(code)

    def open_kernel(self) -> "Kernel":
        """Start a kernel and connect to it, as a notebook's page does."""
        return Kernel(self.browser, self.session_url, self.token)


class Kernel:
    """An open websocket to a kernel."""

    def __init__(self, browser: httpx2.Client, session_url: str, token: str) -> None:
        headers = {"Authorization": f"token {token}"}
        reply = browser.post(f"{session_url}/api/kernels", headers=headers, json={})
        assert reply.status_code == 201, reply.text
        place = urlsplit(session_url)
        path = f"{place.path}/api/kernels/{reply.json()['id']}/channels"
        self.socket = websocket.create_connection(
            f"ws://127.0.0.1:{place.port}{path}", host=place.netloc, timeout=_TIMEOUT_S,
            header=[f"Authorization: token {token}"], suppress_origin=True,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None,
                 _trace: TracebackType | None) -> None:  # fmt: skip
        self.socket.close()

    def run(self, code: str) -> str:
        """Run a cell; return what it printed, or the error's text."""
        asked = uuid4().hex
        self.socket.send(json.dumps({
            "header": {"msg_id": asked, "msg_type": "execute_request", "username": "",
                       "session": uuid4().hex, "version": "5.3", "date": ""},
            "parent_header": {}, "metadata": {}, "channel": "shell",
            "content": {"code": code, "silent": False, "store_history": False,
                        "user_expressions": {}, "allow_stdin": False},
        }))  # fmt: skip
        printed = []
        while True:
            message = json.loads(self.socket.recv())
            if message["parent_header"].get("msg_id") != asked:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                printed.append(content["text"])
            elif kind == "error":
                printed.append("\n".join(content["traceback"]))
            elif kind == "status" and content["execution_state"] == "idle":
                return "".join(printed)


def _hidden(page: str) -> str:
    found = re.search(r'name="_xsrf"\s+value="([^"]+)"', page) or re.search(
        r'xsrf_token: "([^"]+)"', page
    )
    assert found, page[:2000]
    return found[1]
