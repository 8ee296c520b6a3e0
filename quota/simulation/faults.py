"""Seeded faults: what can go wrong between a worker, a service, a runtime and a database.

Crashes and refusals of the database come at the edges of transactions, through the engine's own
events; nothing of the books knows of them.
"""

import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Literal

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError

from quota.clock import ManualClock
from quota.observed import Observed

FaultKind = Literal[
    "crash", "database_refuses", "answer_lost", "tick_lost", "tick_doubled", "old_listing",
    "listed_twice", "clock_back", "clock_ahead",
]  # fmt: skip
FAULTS: tuple[FaultKind, ...] = (
    "crash", "database_refuses", "answer_lost", "tick_lost", "tick_doubled", "old_listing",
    "listed_twice", "clock_back", "clock_ahead",
)  # fmt: skip

# A fault strikes at one of the first edges of transactions in a step, if it has as many.
_MOST_EDGES = 7
MOST_BACK = timedelta(hours=1)
# A step of the time service. A jump of the machine's clock by more would be charged: see
# docs/planning.md.
MOST_AHEAD = timedelta(seconds=10)


class Crash(Exception):
    """The process is gone: nothing after this instant happened, everything committed stays."""


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
        self._edges_left = 0
        self._engine = engine
        event.listen(engine, "begin", self._at_begin)
        event.listen(engine, "commit", self._at_commit)

    def close(self) -> None:
        """Leave the engine alone."""
        event.remove(self._engine, "begin", self._at_begin)
        event.remove(self._engine, "commit", self._at_commit)

    def before_step(self) -> None:
        """Choose what goes wrong in the next step."""
        self.kind = self.rng.choice(FAULTS) if self.rng.random() < self.rate else None
        self._edges_left = self.rng.randint(1, _MOST_EDGES)
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

    def answered(self) -> None:
        """Lose an answer on the way: the work is done, and nobody knows."""
        if self.kind == "answer_lost":
            self._strike("answer_lost")
            raise Crash("the answer was lost")

    def tick(self, look: Callable[[list[Observed], datetime], None], listing: list[Observed],
             before: tuple[list[Observed], datetime] | None, now: datetime) -> None:  # fmt: skip
        """Pass on an observation, or what became of it on the way."""
        match self.kind:
            case "tick_lost":
                self._strike("tick_lost")
                raise Crash("the worker did not come to it")
            case "tick_doubled":
                self._note("tick_doubled")
                look(listing, now)
                look(listing, now)
            case "old_listing" if before is not None:
                self._note("old_listing")
                look(listing, now)
                look(*before)
            case "listed_twice":
                self._note("listed_twice")
                look([*listing, *listing], now)
            case _:
                look(listing, now)

    def _at_begin(self, _connection: Connection) -> None:
        if self.kind == "database_refuses" and self._is_here():
            self._strike("database_refuses")
            cause = sqlite3.OperationalError("database is locked")
            raise OperationalError("BEGIN", None, cause)
        self._crash_here()

    def _at_commit(self, _connection: Connection) -> None:
        self._crash_here()

    def _crash_here(self) -> None:
        if self.kind == "crash" and self._is_here():
            self._strike("crash")
            raise Crash("the process was killed")

    def _is_here(self) -> bool:
        self._edges_left -= 1
        return self._edges_left <= 0

    def _strike(self, kind: FaultKind) -> None:
        self._note(kind)
        self.kind = None

    def _note(self, kind: FaultKind) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1
