"""A session with its own token at the listener's door, and the service beside it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import httpx2
from fastapi import FastAPI
from sqlalchemy import Engine
from starlette.testclient import TestClient

from api.pace import Pace
from api.session_side.app import create_session_side
from api.session_side.caller import Paces
from api.session_side.place import PREFIX
from quota.lab import Lab
from tests.api.desk import ApiDesk, open_service, settings_on
from tests.api.hub import ACCESS, user

SESSION_TOKEN = "token-of-adas-session"


def session_scopes(name: str = "ada", server: str = "") -> tuple[str, ...]:
    """What the hub says of a server's own token."""
    return (f"users:activity!user={name}", f"access:servers!server={name}/{server}", ACCESS)


@dataclass
class Side:
    """The listener, and the desk of the service beside it."""

    desk: ApiDesk
    client: TestClient

    @property
    def app(self) -> FastAPI:
        """The listener itself."""
        return cast("FastAPI", self.client.app)

    def call(
        self, method: str, path: str, token: str | None = SESSION_TOKEN, **request: Any
    ) -> httpx2.Response:
        headers = dict(request.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"token {token}"
        return self.client.request(method, f"{PREFIX}{path}", headers=headers, **request)

    def put(self, path: str, body: Any = None, token: str = SESSION_TOKEN) -> httpx2.Response:
        return self.call("PUT", path, token, **({} if body is None else {"json": body}))

    def follow(self, lab: Lab) -> None:
        """Let lab.yaml say something else from now on, to the service and to the books by hand."""
        self.desk.app.state.books.lab = lab
        self.desk.books.follow(lab)

    def facts(self, token: str = SESSION_TOKEN) -> dict[str, Any]:
        """Ask anew: what was remembered is let go."""
        for name in ("ada", "blaise", "emeka"):
            for server in ("", "second"):
                self.app.state.deeds._fresh.forget(name, server)
        reply = self.call("GET", "/facts", token)
        assert reply.status_code == 200, reply.text
        found: dict[str, Any] = reply.json()
        return found

    def ask(self, message: str = "the loss does not fall", request_id: UUID | None = None,
            **more: Any) -> httpx2.Response:  # fmt: skip
        return self.put(f"/help/{request_id or uuid4()}", {"message": message, **more})


@contextmanager
def open_side(engine: Engine, folder: Path, **settings: Any) -> Iterator[Side]:
    with open_service(engine, folder, **settings) as desk:
        desk.hub.tokens[SESSION_TOKEN] = user("ada", *session_scopes())
        chosen = settings_on(engine, folder, **settings)
        app = create_session_side(desk.app, chosen)
        # Tests ask faster than sessions; those about that set their own.
        app.state.paces = Paces(sessions=Pace(per_s=0, burst=1), strangers=Pace(per_s=0, burst=1))
        with TestClient(app, base_url="http://session-api") as client:
            yield Side(desk=desk, client=client)
