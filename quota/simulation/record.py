"""What a simulated class went through: the raw material of every figure."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

WaitEnd = Literal["started", "gave_up", "missed_turn", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """One wish for a GPU: how long it took, and how that ended."""

    scholar: str
    section: str
    flavor: str
    asked_at: datetime
    local_hour: int
    wait_ms: int
    ended: WaitEnd
    refusal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOut:
    """Somebody's hours were used up: in a session, or when they wanted to start one."""

    scholar: str
    section: str
    at: datetime
    in_session: bool


@dataclass(slots=True)
class Record:
    """All waits, ends of hours and steps of one run."""

    waits: list[Wait] = field(default_factory=list)
    run_outs: list[RunOut] = field(default_factory=list)
    steps: int = 0
    ticks: int = 0
