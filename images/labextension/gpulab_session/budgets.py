"""Time for a program: so many minutes, and no longer than the session lasts.

    with gpulab_session.budget(minutes=30) as b:
        for batch in batches:
            train(batch)
            if b.nearly_over():
                save()
                break

The end of the session is asked of the lab every half minute, and more often near it. Without a
lab, or while it does not answer, the minutes and what was last heard count.
"""

import _thread
import math
import signal
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self

from gpulab_session.client import Client, NoSession, Problem
from gpulab_session.facts import read_facts
from gpulab_session.stops import ENDS, INTERRUPT, Stops
from gpulab_session.words import span_text

_SAVE_S = 60.0
# Of a short budget, a whole minute would be too much.
_SAVE_SHARE = 0.1
_FIRST_ANSWER_S = 3.0
_AGAIN_S = 30.0
# The session is killed 20 seconds after it was told to stop.
_SAVING_S = 15.0
# A loop that has not asked for so long has ended otherwise, and will not save.
_ASKS_WITHIN_S = 60.0
_ENDS_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """When time is over, in seconds of a monotonic clock, and how long before that one saves."""

    own_s: float = math.inf
    own_save_s: float = 0.0
    session_s: float = math.inf
    session_save_s: float = 0.0

    def left_s(self, now_s: float) -> float:
        """Return how long it is until the first of the ends."""
        return max(0.0, min(self.own_s, self.session_s) - now_s)

    def until_saving_s(self, now_s: float) -> float:
        """Return how long it is until one should save."""
        first_s = min(self.own_s - self.own_save_s, self.session_s - self.session_save_s)
        return first_s - now_s


def ends_of(minutes: float | None, save_s: float | None, now_s: float) -> Ends:
    """Work out the ends of a budget that begins now; the session's is not known yet. Pure."""
    if minutes is not None and not minutes > 0:
        raise ValueError(f"a budget needs more than 0 minutes, not {minutes}")
    if save_s is not None and not 0 <= save_s < math.inf:
        raise ValueError(f"save_s is a number of seconds, not {save_s}")
    hard_s = _SAVE_S if save_s is None else save_s
    if minutes is None:
        return Ends(session_save_s=hard_s)
    soft_s = min(_SAVE_S, _SAVE_SHARE * minutes * 60) if save_s is None else save_s
    return Ends(own_s=now_s + minutes * 60, own_save_s=soft_s, session_save_s=hard_s)


class Budget:
    """What is left of the time; see `budget`."""

    def __init__(
        self,
        ends: Ends,
        *,
        client: Client | None,
        monotonic: Callable[[], float] = time.monotonic,
        holds_interrupts: bool = False,
    ) -> None:
        self._ends = ends
        self._client = client
        self._monotonic = monotonic
        self._callbacks: list[Callable[[], object]] = []
        self._calling = threading.RLock()
        self._is_called = False
        self._told: tuple[int, float] | None = None
        self._asked_at_s = monotonic()
        self._is_stopping = False
        self._is_closed = False
        self._has_looked = threading.Event()
        # Wakes the thread; of all ways to do that, the one that a signal's handler may use.
        self._news: SimpleQueue[None] = SimpleQueue()
        self._holds_interrupts = holds_interrupts
        self._stops = Stops(self._hear)
        self._watching = threading.Thread(target=self._watch, name="gpulab-budget", daemon=True)

    def left_s(self) -> float:
        """Return how many seconds are left; infinite where no end is known."""
        return 0.0 if self._must_stop() else self._ends.left_s(self._monotonic())

    def nearly_over(self) -> bool:
        """Tell whether it is time to save and to come to an end."""
        self._asked_at_s = self._monotonic()
        return self._is_nearly_over()

    def on_nearly_over(self, callback: Callable[[], object]) -> None:
        """Call something once when time is nearly over, or when the program is told to stop.

        It runs beside the program, in a thread of its own: it should only read what it saves.
        """
        with self._calling:
            if not self._is_called:
                self._callbacks.append(callback)
                self._news.put(None)
                return
        _call(callback)

    def why_over(self) -> str:
        """Say what ends it, for a person."""
        if self._must_stop():
            return "it was told to stop"
        left_s = self._ends.left_s(self._monotonic())
        if math.isinf(left_s):
            # Since it was asked, the end has moved away.
            return "time was nearly over"
        which = "the session ends" if self._ends.session_s < self._ends.own_s else "its time is up"
        return f"{which} in {span_text(left_s)}"

    def __enter__(self) -> Self:
        if self._is_closed:
            raise RuntimeError("a budget is used once; make a new one")
        self._stops.open(ENDS + (INTERRUPT if self._holds_interrupts else ()))
        self._watching.start()
        if self._client is not None:
            self._has_looked.wait(_FIRST_ANSWER_S)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._is_closed = True
        self._news.put(None)
        if isinstance(error, KeyboardInterrupt):
            # So a notebook's cell hears that its session stops.
            self._call_once()
        # It is awake at once, unless it asks the lab just now.
        self._watching.join(_ENDS_S)
        self._stops.close()

    def _must_stop(self) -> bool:
        return self._is_stopping or self._told is not None

    def _is_nearly_over(self) -> bool:
        return self._must_stop() or self._ends.until_saving_s(self._monotonic()) <= 0

    def _hear(self, number: int) -> bool:
        """Hear of a signal to stop; a program that has nothing to be called saves by itself."""
        now_s = self._monotonic()
        self._told = number, now_s
        self._news.put(None)
        if self._callbacks:
            self._call_once()
            return False
        return now_s - self._asked_at_s < _ASKS_WITHIN_S

    def _watch(self) -> None:
        """Keep the session's end fresh, and call what is to be called in time."""
        ask_at_s = self._monotonic() if self._client is not None else math.inf
        while not self._is_closed:
            if self._monotonic() >= ask_at_s:
                ask_at_s = self._monotonic() + self._look()
                self._has_looked.set()
            if self._is_nearly_over():
                self._call_once()
            if self._told is not None and self._has_held_long():
                # Held long enough: the second of its kind goes where the first did not.
                _thread.interrupt_main(signal.Signals(self._told[0]))
                self._told = self._told[0], math.inf
            with suppress(Empty):
                self._news.get(timeout=self._pause_s(ask_at_s))

    def _has_held_long(self) -> bool:
        return self._told is not None and self._monotonic() >= self._told[1] + _SAVING_S

    def _pause_s(self, ask_at_s: float) -> float | None:
        now_s = self._monotonic()
        until_s = self._ends.until_saving_s(now_s)
        wanted_s = min(ask_at_s - now_s, until_s if until_s > 0 else math.inf)
        if self._told is not None:
            wanted_s = min(wanted_s, self._told[1] + _SAVING_S - now_s)
        return None if math.isinf(wanted_s) else min(max(wanted_s, 0.0), _AGAIN_S)

    def _look(self) -> float:
        """Ask the lab when the session ends; return in how many seconds to ask again."""
        assert self._client is not None, "there is somebody to ask"
        # Taken before the question, so that the end is never believed too late.
        asked_at_s = self._monotonic()
        try:
            facts = read_facts(self._client.facts(patience_s=0))
        except Problem:
            return _AGAIN_S
        left_s = math.inf if facts.left_s is None else facts.left_s
        self._ends = replace(self._ends, session_s=asked_at_s + left_s)
        self._is_stopping = facts.is_stopping
        return facts.poll_after_s

    def _call_once(self) -> None:
        """Call what waits for it; who comes second waits until the first is done."""
        if not self._calling.acquire(timeout=_SAVING_S):
            return
        try:
            if self._is_called or not self._callbacks:
                return
            self._is_called = True
            for callback in self._callbacks:
                _call(callback)
        finally:
            self._calling.release()


def _call(callback: Callable[[], object]) -> None:
    try:
        callback()
    except Exception:  # noqa: BLE001 - the scholar's code; a fault in it is shown, and time goes on
        traceback.print_exc()


def budget(
    minutes: float | None = None,
    *,
    save: Callable[[], object] | None = None,
    save_s: float | None = None,
) -> Budget:
    """Return a budget of so many minutes, or of what the session has left if that is less.

    `save` is called once when time is nearly over, as with `on_nearly_over`. That is `save_s`
    seconds before the end: a minute if left out, or a tenth of a budget under ten minutes.
    """
    return _budget(minutes, save=save, save_s=save_s, holds_interrupts=False)


def loop_budget(minutes: float | None, save_s: float | None) -> Budget:
    """Return a budget for a loop that ends by itself soon after it is told to stop."""
    return _budget(minutes, save=None, save_s=save_s, holds_interrupts=True)


def _budget(
    minutes: float | None,
    *,
    save: Callable[[], object] | None,
    save_s: float | None,
    holds_interrupts: bool,
) -> Budget:
    try:
        client = Client.here()
    except NoSession:
        client = None
    made = Budget(
        ends_of(minutes, save_s, time.monotonic()),
        client=client,
        holds_interrupts=holds_interrupts,
    )
    if save is not None:
        made.on_nearly_over(save)
    return made
