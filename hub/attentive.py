"""Spawners that look closely: a start is noticed at once, and silence is not taken for death.

JupyterHub looks for a starting server ever more seldom, up to five seconds apart, and waits for
one that has died until the time is over. It forgets a server as soon as `poll()` says that it is
gone, or fails, and at its own start also when the server does not answer in time. A forgotten
server runs on, paid for by nobody, and its scholar is locked out.
"""

import asyncio
import time
from typing import Any, Protocol, cast

from jupyterhub.objects import Server
from traitlets import Any as AnyTrait
from traitlets import Float, HasTraits, Instance

from hub.refusals import Refused

# A question to the runtime that takes longer has failed.
_ANSWER_S = 15.0
# After a restart of the hub: how often to look whether a silent server still runs.
_LOOK_EVERY_S = 10.0
# While a session starts: how often to try its port, for how long, and to look whether it runs.
_KNOCK_EVERY_S = 0.1
_KNOCK_S = 2.0
_LOOK_AT_START_S = 1.0


class Unseen(Exception):
    """The runtime could not be asked whether a session runs."""


class _Asked(Protocol):
    _check_pending: bool

    async def poll(self) -> int | str | None: ...


class AttentiveServer(Server):
    """A session's address that knows whether the session still runs."""

    spawner = AnyTrait(help="Who knows whether it runs.")

    async def wait_up(self, timeout: float = 10, **how: Any) -> Any:  # noqa: ASYNC109 - the hub's
        """Wait until it answers: after a start closely, after a restart of the hub patiently.

        Raises:
            TimeoutError: when it does not answer in time.
            Refused: when its session has ended.

        """
        spawner = cast("_Asked", self.spawner)
        while spawner._check_pending:  # noqa: SLF001 - the hub has no other word for it
            try:
                # The limit inside does not cover a request that was sent and is not answered.
                async with asyncio.timeout(_LOOK_EVERY_S + 1):
                    return await super().wait_up(timeout=_LOOK_EVERY_S, **how)
            except TimeoutError:
                if await spawner.poll() is not None:
                    raise
        until = time.monotonic() + timeout
        await self._wait_for_listener(spawner, until)
        return await super().wait_up(timeout=max(until - time.monotonic(), 1), **how)

    async def _wait_for_listener(self, spawner: "_Asked", until: float) -> None:
        look_at = time.monotonic()
        while (now := time.monotonic()) < until and not await self._has_listener():
            if now >= look_at:
                look_at = now + _LOOK_AT_START_S
                status = await spawner.poll()
                if status is not None:
                    raise ended_early(status)
            await asyncio.sleep(_KNOCK_EVERY_S)

    async def _has_listener(self) -> bool:
        try:
            async with asyncio.timeout(_KNOCK_S):
                _, writer = await asyncio.open_connection(self.connect_addr, self._connect_port)
        except OSError:  # a time-out is one
            return False
        writer.close()
        return True


def _address(server: Server) -> tuple[Any, ...]:
    return server.orm_server, server.proto, server.ip, server.port


def ended_early(status: int | str) -> Refused:
    """Refuse a start whose session is over before it was ready."""
    sentence = (
        f"The session ended while it was starting ({status}). Try again; if it happens again, "
        "tell an organizer, who finds the reason in the lab's log."
    )
    return Refused(sentence, reason="ended early", status_code=503)


class Attentive(HasTraits):
    """Mixed into a spawner that says by `look` whether its session runs."""

    patience_s = Float(
        3600.0,
        help="How long a runtime may be silent before its sessions count as ended for the hub.",
    ).tag(config=True)

    _last_seen = AnyTrait(help="What the runtime said last: None for running, else how it ended.")
    _unseen_since = Float(None, allow_none=True)
    _attentive = Instance(AttentiveServer, allow_none=True)

    async def look(self) -> int | str | None:
        """Return None when the session runs, else how it ended.

        Raises:
            Unseen: when the runtime could not be asked.

        """
        raise NotImplementedError

    async def poll(self) -> int | str | None:
        """Tell the hub whether the session runs, or did when that was last known."""
        try:
            status = await asyncio.wait_for(self.look(), _ANSWER_S)
        except (Unseen, TimeoutError) as error:
            return self._guess(error)
        self._unseen_since = None
        self._last_seen = status
        return status

    def clear_state(self) -> None:
        """Begin anew: nothing is known of a session to come."""
        super().clear_state()
        self._last_seen = self._unseen_since = None

    @property
    def server(self) -> Any:
        """The server's address, which knows by this spawner whether the session runs."""
        server = super().server
        if server is None:
            return None
        mine = self._attentive
        if mine is None or _address(mine) != _address(server):
            self._attentive = AttentiveServer(orm_server=server.orm_server, spawner=self)
        return self._attentive

    @server.setter
    def server(self, server: Any) -> None:
        base = super(Attentive, type(self)).server
        base.fset(self, server)

    def _guess(self, error: Exception) -> int | str | None:
        now = time.monotonic()
        since = self._unseen_since if self._unseen_since is not None else now
        self._unseen_since = since
        silent_s = now - since
        log = cast("Any", self).log
        log.warning("the runtime is silent (%.0f s): %s", silent_s, str(error)[:200])
        if silent_s >= self.patience_s:
            return f"the runtime has been silent for {silent_s:.0f} s"
        last: int | str | None = self._last_seen
        return last
