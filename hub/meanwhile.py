"""Starting on a CPU while one waits for a GPU: the place in the line is kept in the books."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from jupyterhub.handlers.base import BaseHandler

from hub.client import LabService, ServiceRefused, ServiceUnavailable
from hub.home import person_at
from hub.policy import HasLab

_AWAY = "The lab's books do not answer just now. Try again in a minute; you keep your place."
_OVER = "This session does not wait any more."


class Meanwhile:
    """Keeps the place of a start that waits, and says what to start instead."""

    def __init__(self, service: LabService, policy: HasLab) -> None:
        self._service = service
        self._policy = policy

    async def keep_place(self, spawner: Any) -> dict[str, Any]:
        """Keep the place of a start; `options` are those of a start on a CPU, None if it failed.

        The start itself ends by its own hook, or is stopped by the page that asked.
        """
        flavors = self._policy.lab.flavors.values()
        free = next((one.name for one in flavors if not one.is_gpu), None)
        if free is None:
            return _said("This lab has no session without a GPU.")
        if spawner is None or not spawner.lease_id:
            return _said(_OVER)
        try:
            await self._service.keep_place(UUID(spawner.lease_id))
        except ServiceUnavailable:
            return _said(_AWAY)
        except ServiceRefused as no:
            return _said(no.detail)
        spawner.place_kept = True
        return {
            "message": "Your place is kept. A session on a CPU is starting.",
            "options": {"flavor": free, "image": spawner.image_name},
        }


class MeanwhileHandler(BaseHandler):
    """Takes the wish to start on a CPU meanwhile; JupyterHub checks whence it comes."""

    def initialize(self, keep_place: Callable[[Any], Awaitable[dict[str, Any]]]) -> None:
        """Take what keeps a place."""
        self._keep_place = keep_place

    async def post(self) -> None:
        """Keep the place of the start of the server that is named."""
        user = person_at(self)
        if user is None:
            return
        name = self.get_body_argument("server_name", "")
        self.finish(await self._keep_place(user.spawners.get(name)))


def _said(sentence: str) -> dict[str, Any]:
    return {"message": sentence, "options": None}
