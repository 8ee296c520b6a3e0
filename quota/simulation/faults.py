"""Seeded faults: what can go wrong between a worker, a service, a runtime and a database.

Crashes and refusals of the database come at the edges of transactions and before any statement in
them, through the engine's own events; nothing of the books knows of them.
"""

import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Any, Literal, TypeAlias, get_args

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError

from quota.clock import ManualClock
from quota.observed import Observed

FaultKind = Literal[
    # a process, a database, a line
    "crash", "restart", "database_refuses", "disk_full", "answer_lost", "asked_twice",
    "asked_late",
    # a worker and what it is shown
    "tick_lost", "tick_doubled", "old_listing", "listed_twice", "missed_once", "vanishes",
    # a clock
    "clock_back", "clock_ahead",
]  # fmt: skip
FAULTS: tuple[FaultKind, ...] = get_args(FaultKind)

# A fault strikes at one of the edges that a step had lately, and at one of so many at least.
_FEWEST_EDGES = 7
MOST_BACK = timedelta(hours=1)
# A step of the time service. A jump of the machine's clock by more would be charged: see
# docs/planning.md.
MOST_AHEAD = timedelta(seconds=10)

Look: TypeAlias = Callable[[list[Observed], datetime], None]


class Crash(BaseException):
    """The process is gone: nothing after this instant happened, everything committed stays.

    Not an `Exception`: whoever goes on after any error does not go on after this one.
    """


class SkewedClock:
    """The clock of the service: the true one, but for a fault."""

    def __init__(self, true: ManualClock) -> None:
        self._true = true
        self.skew = timedelta(0)

    def now(self) -> datetime:
        """Return what the service believes."""
        return self._true.now() + self.skew


class Faults:
    """At most one fault for each step, by chance; the same seed gives the same faults."""

    def __init__(self, engine: Engine, clock: SkewedClock, *, rate: float, seed: int) -> None:
        self.rng = Random(f"faults:{seed}")  # noqa: S311
        self.clock = clock
        self.rate = rate
        self.kind: FaultKind | None = None
        self.counts: dict[str, int] = {}
        self._edges, self._edges_left = 0, 0
        self._engine = engine
        self._listeners: dict[str, Callable[..., None]] = {
            "begin": self._at_begin,
            "before_cursor_execute": self._at_statement,
            "commit": self._at_commit,
        }
        for name, listener in self._listeners.items():
            event.listen(engine, name, listener)

    def close(self) -> None:
        """Let nothing go wrong any more."""
        self.rate = 0.0
        for name, listener in self._listeners.items():
            event.remove(self._engine, name, listener)

    def before_step(self) -> None:
        """Choose what goes wrong in the next step."""
        self.kind = self.rng.choice(FAULTS) if self.rng.random() < self.rate else None
        self._edges_left = self.rng.randint(1, max(_FEWEST_EDGES, self._edges))
        self._edges = 0
        self.clock.skew = timedelta(0)
        if self.kind == "clock_back":
            self.clock.skew = -self.rng.random() * MOST_BACK
        elif self.kind == "clock_ahead":
            self.clock.skew = self.rng.random() * MOST_AHEAD
        if self.kind in ("clock_back", "clock_ahead"):
            self._note(self.kind)

    def after_step(self) -> None:
        """Nothing goes wrong any more: whoever checks the books has to be able to read them."""
        self.kind = None
        self.clock.skew = timedelta(0)

    def strikes(self, kind: FaultKind) -> bool:
        """Tell whether this goes wrong here; it does so once."""
        if self.kind != kind:
            return False
        self._note(kind)
        self.kind = None
        return True

    def answered(self) -> None:
        """Lose an answer on the way: the work is done, and nobody knows."""
        if self.strikes("answer_lost"):
            raise Crash("the answer was lost")

    def tick(
        self, look: Look, listing: list[Observed], before: tuple[list[Observed], datetime] | None,
        now: datetime,
    ) -> list[Observed]:  # fmt: skip
        """Pass on an observation, or what became of it on the way; return what was last shown."""
        if self.strikes("tick_lost"):
            raise Crash("the worker did not come to it")
        running = [one for one in listing if one.is_running]
        if running and self.strikes("missed_once"):
            missed = self.rng.choice(running)
            listing = [one for one in listing if one is not missed]
        elif self.strikes("listed_twice"):
            listing = [*listing, *listing]
        elif self.strikes("tick_doubled"):
            look(listing, now)
        look(listing, now)
        if before is not None and self.strikes("old_listing"):
            look(*before)
        return listing

    # -- the database ----------------------------------------------------------------------

    def _at_begin(self, _connection: Connection) -> None:
        if self.kind == "database_refuses" and self._is_here():
            self.strikes("database_refuses")
            raise _refusal("database is locked")
        self._at_edge()

    def _at_statement(self, *_: Any) -> None:
        self._at_edge()

    def _at_commit(self, _connection: Connection) -> None:
        self._at_edge()

    def _at_edge(self) -> None:
        self._edges += 1
        if self.kind not in ("crash", "disk_full") or not self._is_here():
            return
        if self.strikes("disk_full"):
            raise _refusal("database or disk is full")
        self.strikes("crash")
        raise Crash("the process was killed")

    def _is_here(self) -> bool:
        self._edges_left -= 1
        return self._edges_left <= 0

    def _note(self, kind: FaultKind) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1


def _refusal(what: str) -> OperationalError:
    """Return what a driver raises; the class of its cause differs, and nobody asks for it."""
    return OperationalError("", None, sqlite3.OperationalError(what))
