"""How fast one person may ask: so that one who asks without end takes nothing from the others.

A bucket for each person, as in a token bucket of networks: it holds a burst, and fills again at a
steady rate. Ours, since the libraries for it keep a thread and a clock of their own, and forget
nobody. The hub has no bucket: it asks for everybody.
"""

import time
from collections import OrderedDict
from collections.abc import Callable

_REMEMBERED_MOST = 10_000


class Pace:
    """Counts the requests of each person; a rate of 0 lets everybody ask without end."""

    def __init__(
        self, *, per_s: int, burst: int, remembered_most: int = _REMEMBERED_MOST,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._per_s = per_s
        self._burst = burst
        self._remembered_most = remembered_most
        self._monotonic = monotonic
        # What is left in a bucket, and when that was.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, who: str) -> float:
        """Take one request of somebody; return 0, or how long they have to wait for it."""
        if not self._per_s:
            return 0.0
        now = self._monotonic()
        left, at = self._left.pop(who, (float(self._burst), now))
        left = min(self._burst, left + (now - at) * self._per_s)
        is_taken = left >= 1
        self._left[who] = (left - 1 if is_taken else left, now)
        # Who has not asked for longest has the fullest bucket, as a new one would be.
        while len(self._left) > self._remembered_most:
            self._left.popitem(last=False)
        return 0.0 if is_taken else (1 - left) / self._per_s
