"""What happens next in a simulation: a queue by time, ties in the order of their making."""

from dataclasses import dataclass, field
from datetime import datetime
from heapq import heappop, heappush
from typing import Literal
from uuid import UUID

from quota.simulation.deeds import Deed
from quota.simulation.visits import Visit

EventKind = Literal[
    "arrive", "ask", "start", "leave", "finish", "give_up", "left", "tick", "edge", "organize",
]  # fmt: skip


@dataclass(slots=True, eq=False)
class Stay:
    """One visit that has begun: from the first question to the end of the session."""

    visit: Visit
    lease_id: UUID
    came_at: datetime
    state: Literal["asking", "waiting", "held", "running", "over"] = "asking"
    back_at: datetime | None = None
    gpu_uuid: str | None = None
    has_given_up: bool = False
    has_offer: bool = False

    @property
    def ref(self) -> str:
        """The name of its container, which carries the lease's id."""
        return f"c-{self.lease_id}"

    @property
    def names(self) -> frozenset[str]:
        """Whose books change with it."""
        return frozenset([self.visit.scholar])


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happens: to a visit, a stay, the whole lab, or what the office is asked."""

    kind: EventKind
    visit: Visit | None = None
    stay: Stay | None = None
    names: frozenset[str] | None = None
    deed: Deed | None = None


@dataclass(slots=True)
class Queue:
    """Events in order of time."""

    _heap: list[tuple[datetime, int, Event]] = field(default_factory=list)
    _number: int = 0

    def push(self, at: datetime, event: Event) -> None:
        """Let an event happen at an instant."""
        self._number += 1
        heappush(self._heap, (at, self._number, event))

    def pop(self) -> tuple[datetime, Event]:
        """Take what happens next."""
        at, _, event = heappop(self._heap)
        return at, event

    def __bool__(self) -> bool:
        return bool(self._heap)
