"""The real service over ASGI on a real database, with the real books beside it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import httpx2
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import Engine
from starlette.testclient import TestClient

from api.app import create_app
from api.settings import ApiSettings
from tests.api.hub import FakeHub
from tests.quota.books import LAB_YAML, Desk

ADMISSION_SECRET = "hub-to-service-secret"
SERVICE_SECRET = "service-to-hub-secret"


@dataclass
class ApiDesk:
    """Somebody at the service's door, with any token."""

    client: TestClient
    hub: FakeHub
    books: Desk
    lab_file: Path

    @property
    def app(self) -> FastAPI:
        """The service itself."""
        return cast("FastAPI", self.client.app)

    def call(self, method: str, path: str, token: str | None = ADMISSION_SECRET,
             **request: Any) -> httpx2.Response:  # fmt: skip
        headers = dict(request.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"token {token}"
        return self.client.request(method, path, headers=headers, **request)

    def get(self, path: str, token: str | None = ADMISSION_SECRET) -> httpx2.Response:
        return self.call("GET", path, token)

    def ask(self, who: str = "ada", flavor: str = "whole", *, lease_id: UUID | None = None,
            token: str | None = ADMISSION_SECRET, **body: object) -> httpx2.Response:  # fmt: skip
        wanted = {"hub_id": "main", "account": who, "server_name": "", "flavor": flavor,
                  "image": "base"} | body  # fmt: skip
        return self.call("PUT", f"/v1/leases/{lease_id or uuid4()}", token, json=wanted)

    def grant(self, who: str = "ada", hours: str = "2", *, grant_id: UUID | None = None,
              token: str | None = "token-olga", **body: object) -> httpx2.Response:  # fmt: skip
        given = {"hub_id": "main", "account": who, "hours": hours, "reason": "project"} | body
        return self.call("PUT", f"/v1/grants/{grant_id or uuid4()}", token, json=given)

    def raw(self, method: str, path: str, body: bytes, kind: str = "application/json"
            ) -> httpx2.Response:  # fmt: skip
        return self.call(method, path, content=body, headers={"Content-Type": kind})


def secrets_in(folder: Path, **secrets: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, secret in secrets.items():
        (folder / name).write_text(secret + "\n")
    return folder


def url_of(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


def settings_on(engine: Engine, folder: Path, **more: Any) -> ApiSettings:
    folder.mkdir(exist_ok=True)
    lab_file = folder / "lab.yaml"
    if not lab_file.exists():
        lab_file.write_text(LAB_YAML)
    secrets = secrets_in(folder / "secrets", admission_token=ADMISSION_SECRET,
                         service_token=SERVICE_SECRET)  # fmt: skip
    more.setdefault("public_host", "http://lab.localhost")
    # Tests ask faster than people; those about that set their own.
    more.setdefault("requests_per_s", 0)
    return ApiSettings(database_url=SecretStr(url_of(engine)), lab_file=lab_file,
                       secrets_dir=secrets, **more)  # fmt: skip


@contextmanager
def open_service(engine: Engine, folder: Path, **settings: Any) -> Iterator[ApiDesk]:
    hub, books = FakeHub(), Desk(engine)
    chosen = settings_on(engine, folder, **settings)
    app = create_app(chosen, books.clock, hub.client(), hub.shares)
    with TestClient(app, base_url="http://service") as client:
        yield ApiDesk(client=client, hub=hub, books=books, lab_file=chosen.lab_file)


def problem(reply: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """Check that a reply is a whole problem document, and return it."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = json.loads(reply.text)
    assert (body["code"], body["status"]) == (code, status), body
    assert body["type"] == f"urn:gpulab:problem:{code}"
    assert body["title"]
    assert body["detail"]
    assert body["request_id"] == reply.headers["x-request-id"]
    return body
