"""The API behind the hub's proxy, which leaves its own prefix in front of every address."""

from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send


class Proxied:
    """Takes the prefix off the addresses of some parts, which are answered as without it.

    The other parts have their own place behind the prefix, as the pages do, or none, as health
    and metrics, which are for the machine that the service runs on.
    """

    def __init__(self, app: ASGIApp, *, prefix: str, parts: Sequence[str]) -> None:
        self._app = app
        self._prefix = prefix
        self._parts = tuple(parts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http" and scope["path"].startswith(self._prefix):
            rest = scope["path"][len(self._prefix) :]
            if rest.startswith(self._parts):
                raw = scope.get("raw_path") or scope["path"].encode()
                raw = raw.removeprefix(self._prefix.encode())
                scope = {**scope, "path": rest, "raw_path": raw}
        await self._app(scope, receive, send)
