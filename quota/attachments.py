"""A TA at a scholar's session: just in time, with a reason and an end, shown to the scholar."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

AttachMode = Literal["observe", "co_edit"]
DetachReason = Literal["detached", "time_over", "session_ended", "scholar_ended"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """One attachment; `ended_at` is None while it lasts.

    `unshared_at` is None as long as the hub may let the TA in: a while longer than it lasts.
    """

    id: UUID
    account_id: int
    lease_id: UUID
    ta: str
    mode: AttachMode
    reason: str
    started_at: datetime
    until: datetime
    ended_at: datetime | None = None
    end_reason: DetachReason | None = None
    help_request_id: UUID | None = None
    unshared_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether the TA is still attached."""
        return self.ended_at is None
