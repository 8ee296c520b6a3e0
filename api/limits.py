"""Bounds on what is taken in: how large a body, and how much at a time."""

import asyncio
from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem, http_problem


class AtOnce:
    """Work on so many requests at a time; the others wait their turn, in order.

    Python works on one thing at a time anyway: many pages at once would only slow each other down,
    and with them whatever else the process answers.
    """

    def __init__(self, app: ASGIApp, *, most: int, but: str) -> None:
        self._app = app
        self._turns = asyncio.Semaphore(most)
        # Part of an address that costs nothing, and so need not wait.
        self._but = but

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on when it is its turn."""
        if scope["type"] != "http" or self._but in scope["path"]:
            await self._app(scope, receive, send)
            return
        async with self._turns:
            await self._app(scope, receive, send)


class BodyLimit:
    """Answer 413 to what is larger than allowed, whether it says so or not."""

    def __init__(
        self, app: ASGIApp, limit_bytes: int, larger: Mapping[str, int] | None = None
    ) -> None:
        self._app = app
        self._limit_bytes = limit_bytes
        # By the end of the address, so that it counts behind the hub's proxy, too.
        self._larger = larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a counted body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit_bytes = self._limit_of(scope["path"])
        if _says_too_much(scope, limit_bytes):
            request_id = scope.get("state", {}).get("request_id")
            await http_problem(_too_large(limit_bytes), request_id)(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > limit_bytes:
                # Whoever reads the body gets this instead of it, so nothing is done with a part.
                raise _too_large(limit_bytes)
            return message

        await self._app(scope, counted, send)

    def _limit_of(self, path: str) -> int:
        for end, limit_bytes in self._larger.items():
            if path.endswith(end):
                return limit_bytes
        return self._limit_bytes


def _says_too_much(scope: Scope, limit_bytes: int) -> bool:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return not value.isdigit() or int(value[:12]) > limit_bytes
    return False


def _too_large(limit_bytes: int) -> Problem:
    detail = f"A request may have at most {limit_bytes} bytes."
    return Problem(413, "too_large", "The request is too large", detail)
