"""`{base_url}gpulab/...`: what the notebook's page asks and tells, passed on to the lab.

Only the scholar whose session it is changes anything here; a visitor learns who visits.
"""

from collections.abc import Callable
from typing import Any

from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web

from gpulab_session.listener import Away, Listener, Reply

_UUID = r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
_MOST_BYTES = 16 * 1024
_NOT_YOURS = "Only the scholar whose session it is can do this."
_AWAY = "The lab did not answer. Try again in a minute."


class _Handler(APIHandler):  # type: ignore[misc]
    """Knows the session's owner."""

    def initialize(
        self, listener: Listener, owner: str, mode_of: Callable[[str], str], image: str
    ) -> None:
        """Take what answers, and who is who."""
        self.listener = listener
        self.owner = owner
        self.mode_of = mode_of
        self.image = image

    def is_owner(self) -> bool:
        """Tell whether the session is theirs who ask."""
        return bool(self.current_user.username == self.owner)

    async def pass_on(self, path: str, body: dict[str, Any] | None = None) -> None:
        """Tell the lab something and answer what it says."""
        if not self.is_owner():
            raise web.HTTPError(403, _NOT_YOURS)
        try:
            reply = await self.listener.write(path, body)
        except Away:
            reply = Reply(503, {"code": "unavailable", "detail": _AWAY})
        self.set_status(reply.status)
        if reply.status == 204:
            self.finish()
        else:
            self.finish(reply.body)

    def small_body(self) -> dict[str, Any]:
        """Return what was sent."""
        if len(self.request.body) > _MOST_BYTES:
            raise web.HTTPError(413, "That is too long.")
        body = self.get_json_body()
        return body if isinstance(body, dict) else {}


class FactsHandler(_Handler):
    """What the page shows."""

    @web.authenticated
    async def get(self) -> None:
        """Answer the owner with everything, a visitor with who visits."""
        facts = await self.listener.facts()
        if self.is_owner():
            self.finish({**facts, "viewer": "owner", "image": self.image})
            return
        name = self.current_user.username
        seen = facts.get("attached")
        visits = [one for one in seen if isinstance(one, dict)] if isinstance(seen, list) else []
        self.finish({
            "answered": facts["answered"], "viewer": self.mode_of(name), "scholar": self.owner,
            "server_time": facts.get("server_time"), "age_ms": facts["age_ms"],
            "attached": [one for one in visits if one.get("ta") == name],
        })  # fmt: skip


class HelpHandler(_Handler):
    """A hand that is raised."""

    @web.authenticated
    async def put(self, request_id: str) -> None:
        """Ask for a TA."""
        body = self.small_body()
        await self.pass_on(
            f"/help/{request_id}", {"message": body.get("message"), "path": body.get("path")}
        )


class PlainHandler(_Handler):
    """What needs no more words than its address."""

    @web.authenticated
    async def put(self, what: str) -> None:
        """Pass it on."""
        await self.pass_on(f"/{what}")


def add_routes(
    server: Any, listener: Listener, *, owner: str, mode_of: Callable[[str], str], image: str
) -> None:
    """Add the routes to a server."""
    known = {"listener": listener, "owner": owner, "mode_of": mode_of, "image": image}

    def at(path: str) -> str:
        return str(url_path_join(server.base_url, "gpulab", path))

    plain = rf"(keep|done|help/{_UUID[1:-1]}/withdraw|attachments/{_UUID[1:-1]}/end)"
    server.web_app.add_handlers(".*$", [
        (at("facts"), FactsHandler, known),
        (at(f"help/{_UUID}"), HelpHandler, known),
        (at(plain), PlainHandler, known),
    ])  # fmt: skip
