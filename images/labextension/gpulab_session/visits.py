"""Who may be in this session now: asked of the lab through the hub, and believed for seconds."""

import asyncio
import json
import logging
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

from gpulab_session.rules import Visit

log = logging.getLogger(__name__)

# With the time to ask, a visitor is out within ten seconds of the end of an attachment.
FRESH_S = 4.0
# The hub remembers its answer for a second.
_ASKED_AGAIN_S = 1.1
# A hub that restarts is silent for some seconds; then visitors have to wait.
_BELIEVED_S = 8.0
_ASK_WITHIN_S = 3.0

Ask = Callable[[str], Awaitable[Any]]


class Visits:
    """The visitors of this session, by name."""

    def __init__(
        self,
        no_observing: str,
        ask: Ask,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.no_observing = no_observing
        self._ask = ask
        self._monotonic = monotonic
        self._pause = pause
        self._known: dict[str, Visit] = {}
        self._answered_at = float("-inf")
        self._asked_at = float("-inf")
        self._asking = asyncio.Lock()

    def now(self) -> dict[str, Visit]:
        """Return the visitors, as far as the last answer can be believed."""
        is_believed = self._monotonic() - self._answered_at < _BELIEVED_S
        return self._known if is_believed else {}

    async def of(self, name: str) -> Visit | None:
        """Return somebody's visit; asks if the last answer is some seconds old.

        Who is not in it may have been attached since: then the next answer is waited for.
        """
        async with self._asking:
            if self._age() >= FRESH_S:
                await self.refresh()
            elif name not in self.now():
                await self._pause(max(0.0, _ASKED_AGAIN_S - self._age()))
                await self.refresh()
        return self.now().get(name)

    async def keep_fresh(self) -> None:
        """Ask if the last answer is some seconds old."""
        async with self._asking:
            if self._age() >= FRESH_S:
                await self.refresh()

    def _age(self) -> float:
        return self._monotonic() - self._asked_at

    async def refresh(self) -> bool:
        """Ask; False when there was no answer. Asking also tells the lab that this part runs."""
        self._asked_at = self._monotonic()
        try:
            async with asyncio.timeout(_ASK_WITHIN_S):
                answer = await self._ask(self.no_observing)
            known = {one["ta"]: Visit(one["ta"], one["mode"]) for one in answer["visits"]}
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody is let in for it
            log.warning("the lab did not say who may be here: %s", type(error).__name__)
            return False
        self._known, self._answered_at = known, self._asked_at
        return True


async def ask_hub(no_observing: str) -> Any:
    """Ask the hub, which asks the lab's books."""
    from jupyterhub.httpclient import fetch  # noqa: PLC0415 - at first use: a start has no need

    body = {"server_name": os.environ.get("JUPYTERHUB_SERVER_NAME", ""),
            "no_observing": no_observing}  # fmt: skip
    reply = await fetch(
        os.environ["JUPYTERHUB_API_URL"].removesuffix("/api") + "/gpulab/visits", method="PUT",
        headers={"Authorization": f"token {os.environ['JUPYTERHUB_API_TOKEN']}",
                 "Content-Type": "application/json"},
        data=json.dumps(body),
    )  # fmt: skip
    return await reply.json()
