"""Stands where the server asks who somebody is: visitors pass only with a visit that allows it.

Every handler of jupyter-server asks there, also those that check no permissions afterwards.
"""

import asyncio
import logging
import time
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

from jupyterhub.services.auth import _ExpiringDict
from tornado.web import HTTPError
from tornado.websocket import WebSocketHandler

from gpulab_session.rules import refusal
from gpulab_session.visits import FRESH_S, Visits

log = logging.getLogger(__name__)

_POLICY_VIOLATION = 1008
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0


class Guard:
    """Keeps the visitors of one session."""

    def __init__(self, owner: str, base_url: str, visits: Visits) -> None:
        self._owner = owner
        self._base_url = base_url
        self._visits = visits
        self._sockets: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()

    def watch(self, provider: Any) -> None:
        """Ask for a visit wherever an identity provider says that somebody is not the owner."""
        inner: Callable[[Any], Awaitable[Any]] = provider.get_user

        async def get_user(handler: Any) -> Any:
            user = await inner(handler)
            if user is not None and user.username != self._owner:
                await self._admit(handler, user.username)
            return user

        provider.get_user = get_user

    def may_write(self, name: str) -> bool:
        """Tell whether somebody may change what is open here."""
        visit = self._visits.now().get(name)
        return name == self._owner or (visit is not None and visit.may_write)

    def mode_of(self, name: str) -> str:
        """Say how somebody visits: `observe` or `co_edit`; "" who does not."""
        visit = self._visits.now().get(name)
        return "" if visit is None else str(visit.mode)

    async def run(self) -> None:
        """Tell the lab that visitors are kept here, then close what visitors may not have open."""
        pause_s = _FIRST_PAUSE_S
        while not await self._visits.refresh():
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        while True:
            await asyncio.sleep(FRESH_S / 2)
            if self._sockets:
                await self._visits.keep_fresh()
                self._close_some()

    async def _admit(self, handler: Any, name: str) -> None:
        why_not = self._refusal(handler, await self._visits.of(name))
        if why_not:
            # As the server itself does where it refuses before it knows who asks.
            handler.current_user = handler._jupyter_current_user = None  # noqa: SLF001
            raise HTTPError(403, why_not)
        if isinstance(handler, WebSocketHandler):
            self._sockets[handler] = name

    def _close_some(self) -> None:
        visits = self._visits.now()
        for one, name in list(self._sockets.items()):
            if one.ws_connection is None:
                # Not open yet, or closed already: then it is forgotten with its request.
                continue
            if self._refusal(one, visits.get(name)):
                log.info("a visitor's connection is closed: %s", one.request.path)
                one.close(_POLICY_VIOLATION, "not attached any more")
                del self._sockets[one]

    def _refusal(self, handler: Any, visit: Any) -> str:
        request = handler.request
        if not request.path.startswith(self._base_url):
            path = "/"  # nothing that is named
        else:
            path = request.path[len(self._base_url) :]
        return refusal(visit, request.method, path, no_observing=self._visits.no_observing)


class Identities(_ExpiringDict):  # type: ignore[misc]
    """Whose a token is, as the hub said: of visitors it is remembered for seconds only.

    A share that the hub has taken back is dead then, and one that it has made works.
    """

    def __init__(self, owner: str, max_age: int) -> None:
        super().__init__(max_age)
        self._owner = owner

    def _check_age(self, key: str) -> None:
        super()._check_age(key)
        if key not in self.values:
            return
        name = (self.values[key] or {}).get("name")
        if name != self._owner and self._is_old(key):
            del self[key]

    def _is_old(self, key: str) -> bool:
        return bool(time.monotonic() - self.timestamps[key] > FRESH_S)
