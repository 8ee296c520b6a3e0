"""`/hub/gpulab/visits`: a session asks who may be in it, with the token that every session has.

Sessions reach the hub, not the service; the hub knows which lease pays for which server. What a
session says of itself is believed, since it concerns its scholar only: whether it can hold
visitors to reading.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any
from uuid import UUID

from jupyterhub.apihandlers.base import APIHandler
from tornado.web import HTTPError

from hub.client import LabService, ServiceRefused, ServiceUnavailable

# A session asks every four seconds while somebody visits; its scholar may ask as often as they
# like.
_FRESH_S = 1.0
_REMEMBERED_MOST = 1_000
_MOST_CHARS = 500

Answer = dict[str, Any]


class SessionVisits:
    """Asks the service, at most once a second for each session."""

    def __init__(
        self, service: LabService, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._service = service
        self._monotonic = monotonic
        self._known: OrderedDict[tuple[UUID, str], tuple[float, Answer]] = OrderedDict()

    async def of(self, lease_id: UUID, no_observing: str) -> Answer:
        """Return who may be in a session.

        Raises:
            ServiceRefused, ServiceUnavailable: nobody may, as far as is known.

        """
        key = (lease_id, no_observing)
        known = self._known.get(key)
        if known is not None and self._monotonic() < known[0]:
            return known[1]
        found = await self._service.visits(lease_id, no_observing)
        answer: Answer = found.model_dump(mode="json")
        self._known[key] = (self._monotonic() + _FRESH_S, answer)
        self._known.move_to_end(key)
        while len(self._known) > _REMEMBERED_MOST:
            self._known.popitem(last=False)
        return answer


class VisitsHandler(APIHandler):
    """Answers a session, known by its token, about itself."""

    def initialize(self, visits_of: Callable[..., Any]) -> None:
        """Take what answers for a lease."""
        self._visits_of = visits_of

    async def put(self) -> None:
        """Answer who may be in the session that asks."""
        server_name, no_observing = self._asked()
        lease_id = self._lease_of(server_name)
        try:
            self.finish(await self._visits_of(lease_id, no_observing))
        except ServiceRefused as no:
            raise HTTPError(404, no.code) from no
        except ServiceUnavailable as error:
            raise HTTPError(503, "The lab's books do not answer.") from error

    def _asked(self) -> tuple[str, str]:
        body = self.get_json_body()
        given = body if isinstance(body, dict) else {}
        found = given.get("server_name", ""), given.get("no_observing", "")
        if not all(isinstance(text, str) and len(text) <= _MOST_CHARS for text in found):
            raise HTTPError(400, "A server's name and a sentence are wanted.")
        return found

    def _lease_of(self, server_name: str) -> UUID:
        user = self.current_user
        # A service has no servers; a token of something else may not open this one.
        spawners = getattr(user, "spawners", None)
        if spawners is None or not self.has_scope(
            f"access:servers!server={user.name}/{server_name}"
        ):
            raise HTTPError(403, "This token is not the session's.")
        if server_name not in user.orm_spawners:
            raise HTTPError(404, "There is no such session.")
        lease_id = spawners[server_name].lease_id
        if not lease_id:
            raise HTTPError(404, "Nothing pays for this session.")
        return UUID(lease_id)
