"""A circuit breaker: when the service has just failed, the next ones need not wait for it."""

import time
from collections.abc import Callable

# A call is already several tries within its budget, so one that failed is reason enough; five
# seconds is about what a supervisor needs to restart the service.
_OPEN_FOR_S = 5.0


class Breaker:
    """Closed while the service answers; open for some seconds after a call failed.

    After that one call is let through to find out; the others are still turned away meanwhile.
    """

    def __init__(
        self,
        *,
        open_for_s: float = _OPEN_FOR_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open_for_s = open_for_s
        self._monotonic = monotonic
        self._open_until = 0.0
        self._is_open = False

    def lets_through(self) -> bool:
        """Tell whether a call may be made now."""
        if not self._is_open:
            return True
        now = self._monotonic()
        if now < self._open_until:
            return False
        # This one goes; the next has to wait until it is known how it went.
        self._open_until = now + self._open_for_s
        return True

    def answered(self) -> None:
        """Note that the service answered."""
        self._is_open = False

    def failed(self) -> None:
        """Note that it did not."""
        self._is_open = True
        self._open_until = self._monotonic() + self._open_for_s
