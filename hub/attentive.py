"""Spawners that do not take silence for death.

JupyterHub forgets a server as soon as `poll()` says that it is gone, or fails, and at its own
start also when the server does not answer in time. A forgotten server runs on, paid for by
nobody, and its scholar is locked out.
"""

import asyncio
import time
from typing import Any, Protocol, cast

from jupyterhub.objects import Server
from traitlets import Any as AnyTrait
from traitlets import Float, HasTraits, Instance

# A question to the runtime that takes longer has failed.
_ANSWER_S = 15.0
# After a restart of the hub: how often to look whether a silent server still runs.
_LOOK_EVERY_S = 10.0


class Unseen(Exception):
    """The runtime could not be asked whether a session runs."""


class _Asked(Protocol):
    _check_pending: bool

    async def poll(self) -> int | str | None: ...


class PatientServer(Server):
    """A server found at the hub's start: waited for as long as it really runs."""

    spawner = AnyTrait(help="Who knows whether it runs.")

    async def wait_up(self, timeout: float = 10, **how: Any) -> Any:  # noqa: ASYNC109 - the hub's
        """Wait until it answers; while the hub checks after its start, death alone ends that."""
        spawner = cast("_Asked", self.spawner)
        while spawner._check_pending:  # noqa: SLF001 - the hub has no other word for it
            try:
                # The limit inside does not cover a request that was sent and is not answered.
                async with asyncio.timeout(_LOOK_EVERY_S + 1):
                    return await super().wait_up(timeout=_LOOK_EVERY_S, **how)
            except TimeoutError:
                if await spawner.poll() is not None:
                    raise
        return await super().wait_up(timeout=timeout, **how)


class Attentive(HasTraits):
    """Mixed into a spawner that says by `look` whether its session runs."""

    patience_s = Float(
        3600.0,
        help="How long a runtime may be silent before its sessions count as ended for the hub.",
    ).tag(config=True)

    _last_seen = AnyTrait(help="What the runtime said last: None for running, else how it ended.")
    _unseen_since = Float(None, allow_none=True)
    _patient = Instance(PatientServer, allow_none=True)

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
        """The server's address; a patient one while the hub checks what survived its restart."""
        server = super().server
        if server is None or not getattr(self, "_check_pending", False):
            return server
        if self._patient is None or self._patient.orm_server is not server.orm_server:
            self._patient = PatientServer(orm_server=server.orm_server, spawner=self)
        return self._patient

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
