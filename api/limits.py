"""A bound on request bodies, before anything parses them."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem, http_problem


class BodyLimit:
    """Answer 413 to what is larger than allowed, whether it says so or not."""

    def __init__(self, app: ASGIApp, limit_bytes: int) -> None:
        self._app = app
        self._limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a counted body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._says_too_much(scope):
            request_id = scope.get("state", {}).get("request_id")
            await http_problem(self._too_large(), request_id)(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._limit_bytes:
                # Whoever reads the body gets this instead of it, so nothing is done with a part.
                raise self._too_large()
            return message

        await self._app(scope, counted, send)

    def _says_too_much(self, scope: Scope) -> bool:
        for name, value in scope["headers"]:
            if name == b"content-length":
                return not value.isdigit() or int(value[:12]) > self._limit_bytes
        return False

    def _too_large(self) -> Problem:
        detail = f"A request may have at most {self._limit_bytes} bytes."
        return Problem(413, "too_large", "The request is too large", detail)
