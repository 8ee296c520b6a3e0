"""Facts that were worked out a moment ago, for a session that asks again."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from api.session_side.schemas import FactsOut

# Several tabs and a script of one session ask at once; the worker looks far less often.
_FRESH_S = 2.0
_REMEMBERED_MOST = 2_000


class FreshFacts:
    """Keeps each session's facts for two seconds; whoever changes something lets them go."""

    def __init__(
        self, *, fresh_s: float = _FRESH_S, remembered_most: int = _REMEMBERED_MOST,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._fresh_s = fresh_s
        self._remembered_most = remembered_most
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._changes = 0
        self._made: OrderedDict[tuple[str, str], tuple[float, FactsOut]] = OrderedDict()

    def of(self, name: str, server_name: str, make: Callable[[], FactsOut]) -> FactsOut:
        """Return what was made lately, else make it."""
        key = (name, server_name)
        with self._lock:
            known, changes = self._made.get(key), self._changes
        if known is not None and self._monotonic() < known[0]:
            return known[1]
        until = self._monotonic() + self._fresh_s
        made = make()
        with self._lock:
            if changes != self._changes:
                # Something was changed while it was made, perhaps this.
                return made
            self._made[key] = (until, made)
            self._made.move_to_end(key)
            while len(self._made) > self._remembered_most:
                self._made.popitem(last=False)
        return made

    def forget(self, name: str, server_name: str) -> None:
        """Make them anew at the next question."""
        with self._lock:
            self._changes += 1
            self._made.pop((name, server_name), None)
