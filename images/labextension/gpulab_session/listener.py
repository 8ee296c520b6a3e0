"""Asks the lab's session listener, with the token of this very session: bounded in time and size.

Whatever comes back, or does not, an editor waits no longer than seconds and gets a small answer.
"""

import asyncio
import json
import logging
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.simple_httpclient import SimpleAsyncHTTPClient

log = logging.getLogger(__name__)

# All tabs of a session share an answer that is not older; after a change it is asked anew.
FRESH_S = 10.0
_CONNECT_S, _ANSWER_S = 2.0, 4.0
_MOST_BYTES = 64 * 1024
_MOST_CHARS = 500

Fetch = Callable[[str, str, bytes | None], Awaitable[tuple[int, bytes]]]


@dataclass(frozen=True)
class Reply:
    """What the listener said; `body` is always small JSON."""

    status: int
    body: dict[str, Any]


class Away(Exception):
    """The listener did not answer, or nothing that can be understood."""


class Listener:
    """The lab's session listener, as this session sees it."""

    def __init__(self, fetch: Fetch, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._monotonic = monotonic
        self._facts: dict[str, Any] = {}
        self._facts_at = float("-inf")
        self._asking = asyncio.Lock()
        self._trouble = ""

    async def facts(self) -> dict[str, Any]:
        """Return what the lab knows of this session, and how old that is: `age_ms`.

        Without an answer it says so, in `answered`; that too is kept for some seconds.
        """
        async with self._asking:
            if self._monotonic() - self._facts_at >= FRESH_S:
                self._facts = await self._ask()
                self._facts_at = self._monotonic()
        return {**self._facts, "age_ms": round(1000 * (self._monotonic() - self._facts_at))}

    async def write(self, path: str, body: dict[str, Any] | None = None) -> Reply:
        """Tell the listener something; the facts are asked anew after it.

        Raises:
            Away: nobody knows whether it was heard.

        """
        sent = json.dumps({} if body is None else body).encode()
        try:
            return await self._call("PUT", path, sent)
        finally:
            self._facts_at = float("-inf")

    async def _ask(self) -> dict[str, Any]:
        try:
            reply = await self._call("GET", "/facts", None)
        except Away:
            return {"answered": False, "code": "unavailable"}
        if reply.status != 200:
            return {"answered": False, "code": reply.body.get("code", "unavailable")}
        return {**reply.body, "answered": True}

    async def _call(self, method: str, path: str, body: bytes | None) -> Reply:
        try:
            status, answer = await self._fetch(method, path, body)
            found = json.loads(answer) if answer else {}
        except Exception as error:  # Whatever it is, there was no answer.
            self._note(type(error).__name__)
            raise Away from error
        if not isinstance(found, dict) or not 200 <= status < 500:
            self._note(f"status {status}")
            raise Away
        self._note("")
        return Reply(status, found if status < 400 else _problem(found))

    def _note(self, trouble: str) -> None:
        """Log what is wrong, and once only as long as it stays the same."""
        if trouble and trouble != self._trouble:
            log.warning("the lab's session listener does not answer well: %s", trouble)
        self._trouble = trouble


def _problem(found: dict[str, Any]) -> dict[str, Any]:
    texts = {name: found.get(name) for name in ("code", "title", "detail")}
    return {name: text[:_MOST_CHARS] for name, text in texts.items() if isinstance(text, str)}


def open_listener() -> Listener:
    """Open the listener that the session's environment names; without one, nobody answers."""
    address = os.environ.get("GPULAB_SESSION_API", "").rstrip("/")
    client: AsyncHTTPClient = SimpleAsyncHTTPClient(
        force_instance=True, max_body_size=_MOST_BYTES, max_header_size=_MOST_BYTES
    )
    headers = {"Authorization": f"token {os.environ.get('JUPYTERHUB_API_TOKEN', '')}",
               "Content-Type": "application/json"}  # fmt: skip

    async def fetch(method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        if urlsplit(address).scheme not in ("http", "https"):
            raise Away
        request = HTTPRequest(
            address + path, method=method, headers=headers, body=body, follow_redirects=False,
            connect_timeout=_CONNECT_S, request_timeout=_ANSWER_S, decompress_response=False,
        )  # fmt: skip
        # Once more than the client's own time-outs, which do not count the look-up of a name.
        async with asyncio.timeout(_ANSWER_S + 1):
            reply = await client.fetch(request, raise_error=False)
        return reply.code, reply.body or b""

    return Listener(fetch)
