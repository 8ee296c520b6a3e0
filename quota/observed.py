"""What a runtime says really runs, or ran: the witness that the books follow."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One container or process tree that really is or was.

    `started_at` is the runtime's own; None means made but never started. `finished_at` None means
    still running (or not started). One that was started while the books were away says itself on
    which GPU it is, and when it has to have ended unless the books say otherwise by then.
    """

    ref: str
    lease_id: UUID | None
    hub_id: str
    account: str
    server_name: str
    flavor: str
    started_at: datetime | None
    finished_at: datetime | None
    exit_code: int | None
    ended_how: str = ""
    gpu_uuid: str = ""
    emergency_until: datetime | None = None

    @property
    def is_running(self) -> bool:
        """Tell whether it has started and not finished."""
        return self.started_at is not None and self.finished_at is None
