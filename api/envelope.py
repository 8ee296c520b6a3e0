"""What every request and every answer carry: an id, safe headers, and a time to be answered by.

The time matters most: a database that hangs must not hang the hub that asks (promise P08), so an
answer that takes too long becomes a 503 while the work goes on or is dropped behind it. All
writes are idempotent, so asking again is safe whatever became of them.
"""

import asyncio
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import uuid4

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import internal_problem, too_slow_problem

log = structlog.get_logger()

REQUEST_ID_HEADER = b"x-request-id"
# Whatever comes after this in an address lets its reader in.
SECRET_AFTER = "/feeds/"  # noqa: S105 - the part before it
_GOOD_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")
_PATH_MOST_CHARS = 200

Header = tuple[bytes, bytes]

# Nothing that the service answers is to be framed, sniffed, kept or run.
SAFE_HEADERS: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


class _Answer:
    """The way back to the client: adds the headers, and can be closed to a late answer."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self._headers = [*SAFE_HEADERS, (REQUEST_ID_HEADER, request_id.encode())]
        self.status: int | None = None
        self.is_closed = False

    async def send(self, message: Message) -> None:
        """Send on, unless somebody else has answered already."""
        if self.is_closed:
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": self._with_ours(message.get("headers", ()))}
        await self._send(message)

    def _with_ours(self, given: Iterable[Header]) -> list[Header]:
        """Add our headers; what a page says itself, like its policy for scripts, stays."""
        own = list(given)
        said = {name.lower() for name, _ in own}
        return own + [one for one in self._headers if one[0] not in said]

    def taken_over(self) -> Send:
        """Close it to whoever has it, and return a way back for somebody else."""
        self.is_closed = True
        return _Answer(self._send, self._request_id).send


class Envelope:
    """The outermost layer of the service."""

    def __init__(
        self, app: ASGIApp, *, answer_within_s: float, longer: Mapping[str, float] | None = None
    ) -> None:
        self._app = app
        self._answer_within_s = answer_within_s
        # By a part of the address: long work that only organizers ask for.
        self._longer = longer or {}
        self._late: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.bind_contextvars(request_id=request_id)
        answer = _Answer(send, request_id)
        try:
            await self._answer_in_time(scope, receive, answer)
        except Exception:
            log.exception("request_failed", path=_shown(scope["path"]))
            if answer.status is None:
                await internal_problem(request_id)(scope, receive, answer.send)
        _log(scope, answer.status, time.monotonic() - began)

    async def _answer_in_time(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        work: asyncio.Task[None] = asyncio.ensure_future(self._app(scope, receive, answer.send))
        try:
            await asyncio.wait({work}, timeout=self._time_for(scope["path"]))
        except asyncio.CancelledError:
            work.cancel()
            raise
        if work.done() or answer.status is not None:
            await work
            return
        # What still waits for a thread is dropped by this; what runs in one cannot be, and ends
        # some time later with nobody listening.
        work.cancel()
        self._late.add(work)
        work.add_done_callback(self._forget)
        too_slow = too_slow_problem(scope["state"]["request_id"])
        await too_slow(scope, receive, answer.taken_over())
        answer.status = too_slow.status_code

    def _time_for(self, path: str) -> float:
        for part, within_s in self._longer.items():
            if part in path:
                return within_s
        return self._answer_within_s

    def _forget(self, work: asyncio.Task[None]) -> None:
        self._late.discard(work)
        if not work.cancelled() and work.exception() is not None:
            log.warning("late_request_failed", error=type(work.exception()).__name__)


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == REQUEST_ID_HEADER and _GOOD_ID.fullmatch(value):
            return str(value.decode())
    return uuid4().hex


def _shown(path: str) -> str:
    """Write an address for the log: cut, and without the secret that some end with."""
    before, is_secret, _ = path.partition(SECRET_AFTER)
    return f"{before}{is_secret}..." if is_secret else path[:_PATH_MOST_CHARS]


def _log(scope: Scope, status: int | None, took_s: float) -> None:
    """Note what changed something or failed; looking is not worth a line."""
    if scope["method"] == "GET" and (status or 500) < 400:
        return
    facts: dict[str, Any] = {"method": scope["method"], "path": _shown(scope["path"])}
    log.info("request", status=status, took_ms=round(took_s * 1000, 1), **facts)
