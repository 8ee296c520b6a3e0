"""Waiting for conditions with a bound, instead of sleeping and hoping."""

import random
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TypeVar

T = TypeVar("T")

# Below the range from which the kernel takes ports for outgoing connections.
_FIRST_PORT, _LAST_PORT = 20_000, 30_000


def wait_for(what: str, look: Callable[[], T], *, within_s: float, every_s: float = 0.1) -> T:
    """Look until the answer is true, and return it; fail after the bound with what was awaited."""
    until = time.monotonic() + within_s
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > until:
            raise AssertionError(f"not within {within_s:g} s: {what}; last seen: {seen!r}")
        time.sleep(every_s)


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            port = random.randrange(_FIRST_PORT, _LAST_PORT)  # noqa: S311 - no secret
            probe = held.enter_context(socket.socket())
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found.append(port)
    return found
