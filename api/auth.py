"""Who is calling: the hub by its own secret, people and sessions by their JupyterHub tokens.

The hub answers whose a token is and which scopes it carries; the answer is remembered for some
seconds under the token's hash, so that a page that polls does not ask the hub each time, and a
revoked token is dead within that time.

A session's own token names its scholar as a person's does. Everything in a session can read it, so
it is good for the session listener (`api.session_side`) alone: nothing else takes it.
"""

import hashlib
import hmac
import math
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import httpx2
import structlog
from fastapi import Depends, Request

from api.pace import Pace
from api.problems import Problem

log = structlog.get_logger()

ADMIN_SCOPE = "custom:gpulab:admin"
ACCESS_SCOPES = frozenset({"access:services", "access:services!service=gpulab"})
_SERVERS = "access:servers"
_TOKEN = re.compile(r"[!-~]{1,512}")
_REMEMBERED_MOST = 10_000
_HUB_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who may ask: the hub itself, a person, or a session of theirs."""

    name: str
    is_hub: bool = False
    scopes: frozenset[str] = frozenset()

    @property
    def is_session(self) -> bool:
        """Tell whether it opens single servers of its holder, as only their own tokens do."""
        return any(one.startswith(self._own_server) for one in self.scopes)

    @property
    def server(self) -> str | None:
        """The server whose own token it is; None when it opens any other, too."""
        opened = [one for one in self.scopes if one.partition("!")[0] == _SERVERS]
        if len(opened) != 1 or not opened[0].startswith(self._own_server):
            return None
        return opened[0].removeprefix(self._own_server)

    @property
    def _own_server(self) -> str:
        return f"{_SERVERS}!server={self.name}/"

    @property
    def is_organizer(self) -> bool:
        """Tell whether they may give GPU-hours and see everybody."""
        return self.is_hub or ADMIN_SCOPE in self.scopes

    def may_see(self, account: str) -> bool:
        """Tell whether they may look at an account."""
        return self.is_organizer or self.name == account


class Identities:
    """Resolves tokens to callers."""

    def __init__(
        self,
        admission_secret: str,
        hub: httpx2.AsyncClient,
        *,
        cache_s: int,
        remembered_most: int = _REMEMBERED_MOST,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._admission = _digest(admission_secret)
        self._hub = hub
        self._cache_s = cache_s
        self._remembered_most = remembered_most
        self._monotonic = monotonic
        self._known: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()

    async def caller_of(self, token: str) -> Caller:
        """Tell which person's a token is, or that it is the hub's secret.

        Raises:
            Problem: 401 when nobody's, 403 without access or a session's, 503 when the hub cannot
                be asked.

        """
        if self._is_hubs(token):
            return Caller(name="hub", is_hub=True)
        holder = self.remembered(token) or await self.asked(token)
        if holder.is_session:
            raise _forbidden("A session's own token is good for the session listener alone.")
        return holder

    def remembered(self, token: str) -> Caller | None:
        """Return the holder of a token whom the hub has named a moment ago."""
        known = self._known.get(_digest(token))
        return known[1] if known is not None and self._monotonic() < known[0] else None

    async def asked(self, token: str) -> Caller:
        """Ask the hub who holds a token, a person or a session.

        Raises:
            Problem: 401 when nobody, 403 without access, 503 when the hub cannot be asked.

        """
        if self._is_hubs(token):
            raise _nobody()
        holder = _holder(await self._ask_hub(token))
        self._known[_digest(token)] = (self._monotonic() + self._cache_s, holder)
        while len(self._known) > self._remembered_most:
            self._known.popitem(last=False)
        return holder

    def _is_hubs(self, token: str) -> bool:
        return hmac.compare_digest(_digest(token), self._admission)

    async def _ask_hub(self, token: str) -> dict[str, Any]:
        try:
            reply = await self._hub.get("/user", headers={"Authorization": f"token {token}"})
            if reply.status_code in (401, 403, 404):
                raise _nobody()
            body = reply.raise_for_status().json()
        except (httpx2.HTTPError, ValueError) as error:
            log.warning("hub_not_asked", error=type(error).__name__)
            raise Problem(503, "hub_unavailable", "The hub does not answer",
                          "The hub cannot be asked who you are just now. Try again in a few "
                          "seconds.") from error  # fmt: skip
        if not isinstance(body, dict):
            raise _nobody()
        return body


async def get_caller(request: Request) -> Caller:
    """Find the caller of a request (a FastAPI dependency)."""
    identities: Identities = request.app.state.identities
    caller = await identities.caller_of(token_of(request))
    if not caller.is_hub:
        keep_pace(request.app.state.pace, caller.name)
    return caller


def token_of(request: Request) -> str:
    """Read the token of a request.

    Raises:
        Problem: 401, there is none that could be one.

    """
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if kind.lower() not in ("token", "bearer") or not _TOKEN.fullmatch(token):
        raise _nobody()
    return token


def keep_pace(pace: Pace, who: str) -> None:
    """Refuse whoever asks too fast (promise P47).

    Raises:
        Problem: 429.

    """
    if wait_s := pace.wait_s(who):
        raise Problem(429, "too_many_requests", "Too many requests",
                      "You, or a program of yours, asks faster than the lab allows. Wait a "
                      "second.", retry_after_s=math.ceil(wait_s))  # fmt: skip


def require_hub(caller: Caller) -> None:
    """Let only the hub through."""
    if not caller.is_hub:
        raise _forbidden("Only the hub may do this.")


def require_organizer(caller: Caller) -> None:
    """Let organizers through."""
    if not caller.is_organizer:
        raise _forbidden("Only organizers may do this.")


def require_scope(caller: Caller, scope: str) -> None:
    """Let through a program that was given this right, and nobody else."""
    if scope not in caller.scopes:
        raise _forbidden("Only the lab's own programs may do this.")


CallerDep = Annotated[Caller, Depends(get_caller)]


def hub_http(hub_api_url: str) -> httpx2.AsyncClient:
    """Open the client that asks the hub about tokens."""
    return httpx2.AsyncClient(base_url=hub_api_url, timeout=_HUB_TIMEOUT_S)


def _holder(user: dict[str, Any]) -> Caller:
    name, scopes = user.get("name"), user.get("scopes")
    if not isinstance(name, str) or not isinstance(scopes, list):
        raise _nobody()
    held = frozenset(scope for scope in scopes if isinstance(scope, str))
    if not held & ACCESS_SCOPES:
        raise _forbidden("This token may not use the lab's service.")
    # A service has the same shape; its name must not pass for a person's.
    if user.get("kind") != "user":
        name = f"service:{name}"
    return Caller(name=name, scopes=held)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _nobody() -> Problem:
    return Problem(401, "not_signed_in", "Not signed in",
                   "Send a JupyterHub token in the header `Authorization: token T`.")  # fmt: skip


def _forbidden(detail: str) -> Problem:
    return Problem(403, "forbidden", "Not allowed", detail)
