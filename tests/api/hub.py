"""A small hub that knows whose a token is, and answers `/user` as JupyterHub 6.1 does."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import httpx2
from starlette.types import Receive, Scope, Send

from api.hub_shares import Share

ACCESS = "access:services!service=gpulab"
SCHOLAR_SCOPES = (ACCESS, "custom:gpulab:read:self")
TA_SCOPES = (*SCHOLAR_SCOPES, "custom:gpulab:read:section", "custom:gpulab:attach")
ORGANIZER_SCOPES = (*SCHOLAR_SCOPES, "custom:gpulab:admin")


def user(name: str, *scopes: str, kind: str = "user") -> dict[str, Any]:
    return {"name": name, "kind": kind, "admin": False, "groups": [], "scopes": list(scopes)}


def people() -> dict[str, dict[str, Any]]:
    return {
        "token-ada": user("ada", *SCHOLAR_SCOPES),
        "token-blaise": user("blaise", *SCHOLAR_SCOPES),
        "token-tomas": user("tomas", *TA_SCOPES),
        "token-olga": user("olga", *ORGANIZER_SCOPES),
        "token-stranger": user("ada", "self"),
        "token-service": user("ada", *SCHOLAR_SCOPES, kind="service"),
    }


@dataclass
class FakeShares:
    """The hub's shares, in memory."""

    there: set[Share] = field(default_factory=set)
    is_away: bool = False
    deeds: list[tuple[str, Share]] = field(default_factory=list)

    def of(self, ta: str) -> frozenset[Share] | None:
        return None if self.is_away else frozenset(one for one in self.there if one.ta == ta)

    def make(self, share: Share) -> bool:
        self.deeds.append(("make", share))
        self.there.add(share)
        return not self.is_away

    def revoke(self, share: Share) -> bool:
        self.deeds.append(("revoke", share))
        self.there.discard(share)
        return not self.is_away


@dataclass
class FakeHub:
    """The part of the hub's API that the service asks."""

    tokens: dict[str, dict[str, Any]] = field(default_factory=people)
    # What a browser brought back from the hub's login, and whose token that gives.
    codes: dict[str, str] = field(default_factory=dict)
    shares: FakeShares = field(default_factory=FakeShares)
    calls: int = 0
    broken: str = ""
    asked: dict[str, str] = field(default_factory=dict)

    def client(self) -> httpx2.AsyncClient:
        transport = httpx2.ASGITransport(self)
        return httpx2.AsyncClient(transport=transport, base_url="http://hub/hub/api")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/hub/api/oauth2/token":
            await self._trade(receive, send)
            return
        assert scope["path"] == "/hub/api/user", scope["path"]
        self.calls += 1
        header = dict(scope["headers"]).get(b"authorization", b"").decode()
        found = self.tokens.get(header.removeprefix("token "))
        if self.broken == "refused":
            raise httpx2.ConnectError("connection refused")
        if self.broken == "garbage":
            response = httpx2.Response(200, text="<html>")
        elif self.broken == "list":
            response = httpx2.Response(200, json=[])
        elif self.broken == "500":
            response = httpx2.Response(500, json={"status": 500})
        elif found is None:
            message = {"status": 403, "message": "Missing or invalid credentials."}
            response = httpx2.Response(403, json=message)
        else:
            response = httpx2.Response(200, json=found)
        await _answer(response, send)

    async def _trade(self, receive: Receive, send: Send) -> None:
        self.asked = dict(parse_qsl((await receive())["body"].decode()))
        if self.broken == "refused":
            raise httpx2.ConnectError("connection refused")
        token = self.codes.pop(self.asked.get("code", ""), None)
        if self.broken == "500":
            response = httpx2.Response(500, json={"status": 500})
        elif self.broken == "garbage":
            response = httpx2.Response(200, text="<html>")
        elif token is None:
            response = httpx2.Response(400, json={"error": "invalid_grant"})
        else:
            response = httpx2.Response(200, json={"access_token": token, "token_type": "Bearer"})
        await _answer(response, send)


async def _answer(response: httpx2.Response, send: Send) -> None:
    headers = [(name.lower().encode(), value.encode())
               for name, value in response.headers.items()]  # fmt: skip
    await send({"type": "http.response.start", "status": response.status_code,
                "headers": headers})  # fmt: skip
    await send({"type": "http.response.body", "body": response.content})
