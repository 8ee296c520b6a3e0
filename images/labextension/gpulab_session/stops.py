"""Signals that tell a program to stop: taken once, so that it can save, and then passed on.

A session that stops tells a terminal's programs so with SIGHUP and SIGTERM, and a notebook's
kernel with an interrupt; some seconds later all are killed.
"""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

ENDS = (signal.SIGTERM, signal.SIGHUP)
INTERRUPT = (signal.SIGINT,)


class Stops:
    """While it is open, `told` hears the first signal of each kind.

    It returns whether the program goes on for now: then the signal is passed on when this closes.
    The second of a kind is passed on at once.
    """

    def __init__(self, told: Callable[[int], bool]) -> None:
        self._told = told
        self._previous: dict[int, Any] = {}
        self._seen: set[int] = set()
        self._held: list[int] = []
        self._pid = os.getpid()

    def open(self, numbers: tuple[signal.Signals, ...]) -> None:
        """Take the signals; only a program's main thread can, and what is ignored stays so."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in numbers:
            previous = signal.getsignal(number)
            if previous in (signal.SIG_IGN, None):
                continue
            self._previous[number] = previous
            signal.signal(number, self._handle)

    def close(self) -> None:
        """Put everything back, and pass on what was held."""
        if not self._previous or threading.current_thread() is not threading.main_thread():
            return
        for number, previous in self._previous.items():
            if signal.getsignal(number) == self._handle:
                signal.signal(number, previous)
        if self._held and os.getpid() == self._pid:
            number = self._held.pop(0)
            _deliver(number, self._previous[number], None)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        # A child that was forked has these handlers too, and nothing to save.
        is_first = os.getpid() == self._pid and number not in self._seen
        self._seen.add(number)
        if is_first and self._told(number):
            self._held.append(number)
            return
        # Passed on now, it has not to be passed on at the end.
        self._held = [one for one in self._held if one != number]
        previous = self._previous[number]
        signal.signal(number, previous)
        _deliver(number, previous, frame)


def _deliver(number: int, previous: Any, frame: FrameType | None) -> None:
    """Do what would have been done with a signal."""
    if callable(previous):
        previous(number, frame)
    else:
        signal.raise_signal(number)
