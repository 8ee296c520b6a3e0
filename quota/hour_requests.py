"""A scholar asks for hours with a reason; somebody approves, approves partly, or denies. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from quota.amount import GpuTime

HourRequestState = Literal["open", "approved", "denied", "withdrawn", "stale"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HourRequest:
    """One request for GPU-hours and what became of it."""

    id: UUID
    account_id: int
    hours: GpuTime
    reason: str
    state: HourRequestState
    asked_at: datetime
    stale_at: datetime
    decided_at: datetime | None = None
    decided_by: str | None = None
    granted: GpuTime | None = None
    answer: str = ""

    def as_of(self, now: datetime) -> "HourRequest":
        """Return it as it is now: one that nobody answered in time has gone stale."""
        if self.state == "open" and now >= self.stale_at:
            return replace(self, state="stale", decided_at=self.stale_at)
        return self


def decided(
    request: HourRequest, granted: GpuTime | None, *, by: str, answer: str, at: datetime
) -> HourRequest:
    """Answer an open request; without an amount it is denied."""
    assert request.state == "open", request.state
    state: HourRequestState = "denied" if granted is None else "approved"
    return replace(
        request, state=state, granted=granted, decided_at=at, decided_by=by, answer=answer
    )
