"""A bound on request bodies, before anything parses them."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem


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
            await self._refuse(scope, receive, send)
            return
        read = 0
        refused = False

        async def counted() -> Message:
            nonlocal read, refused
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._limit_bytes:
                refused = True
                return {"type": "http.request", "body": b"", "more_body": False}
            return message

        async def answer(message: Message) -> None:
            if not refused:
                await send(message)

        await self._app(scope, counted, answer)
        if refused:
            await self._refuse(scope, receive, send)

    def _says_too_much(self, scope: Scope) -> bool:
        for name, value in scope["headers"]:
            if name == b"content-length":
                return not value.isdigit() or int(value[:12]) > self._limit_bytes
        return False

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        detail = f"A request may have at most {self._limit_bytes} bytes."
        response = problem(413, "too_large", "The request is too large", detail)
        await response(scope, receive, send)
