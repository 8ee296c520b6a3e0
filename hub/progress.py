"""What the progress page of a start shows while it waits in the line, and who is watching it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from traitlets import Any as AnyTrait
from traitlets import Bool, HasTraits, Instance, Int

_LOOK_EVERY_S = 0.5
# Something is sent at least this often, so that a page that was closed is noticed.
_HEARTBEAT_S = 5.0
# A page that reloads, a laptop between two networks, and a client that starts a session before it
# opens the progress stream all count as being there.
_STILL_THERE_S = 60.0
_WAITING_PERCENT = 10
_STARTING_PERCENT = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What to show to one who waits."""

    message: str
    position: int | None = None
    of: int | None = None
    estimated_wait_s: int | None = None

    def as_event(self) -> dict[str, Any]:
        """Return it as an event of the hub's progress stream."""
        return {
            "progress": _WAITING_PERCENT, "message": self.message,
            "waiting": {"position": self.position, "of": self.of,
                        "estimated_wait_s": self.estimated_wait_s},
        }  # fmt: skip


class Watched(HasTraits):
    """Mixed into a spawner, before the spawner that really starts things."""

    note = Instance(Note, allow_none=True, help="What to show while it waits in the line.")
    admitted_title = AnyTrait(None, help="The flavor's title, once the lease is there.")
    place_kept = Bool(False, help="Its place in the line is kept, and this start is to end.")
    viewers = Int(0, help="How many progress streams are open.")
    monotonic: Callable[[], float] = staticmethod(time.monotonic)
    _seen_at = 0.0

    def begin_waiting(self) -> None:
        """Forget the start before; whoever asked for this one is there."""
        self.note = None
        self.admitted_title = None
        self.place_kept = False
        self._seen_at = self.monotonic()

    def is_watched(self) -> bool:
        """Tell whether somebody is there to use the session right away."""
        return self.viewers > 0 or self.monotonic() - self._seen_at < _STILL_THERE_S

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """Stream the place in the line until the session may start."""
        self.viewers += 1
        try:
            async with aclosing(self._line_events()) as events:
                async for event in events:
                    yield event
            # The spawners below have nothing of their own to tell.
            yield {
                "progress": _STARTING_PERCENT,
                "message": f"Your session is starting: {self.admitted_title}.",
            }
        finally:
            self.viewers -= 1
            self._seen_at = self.monotonic()

    async def _line_events(self) -> Any:
        shown: Note | None = None
        sent_at = self.monotonic()
        while self.admitted_title is None:
            if self.note is not None and self.note != shown:
                shown = self.note
                sent_at = self.monotonic()
                yield shown.as_event()
            elif self.monotonic() - sent_at > _HEARTBEAT_S:
                sent_at = self.monotonic()
                yield {"progress": _WAITING_PERCENT}
            await asyncio.sleep(_LOOK_EVERY_S)
