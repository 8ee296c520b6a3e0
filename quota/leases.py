"""The life of a lease: waiting -> held -> active -> stopping -> ended. Pure.

- waiting: in the line; costs nothing. An *offered* one has its slot kept while nobody is there.
- held: hold placed and slot taken, the container is being started; voided after a time-out.
- active: the runtime shows it running; it is charged from the runtime's own start time.
- stopping: somebody or the books asked for its end; it keeps its slot until it is seen gone.
- ended: everything used is posted, the rest of the hold is voided, the slot is free.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from quota.amount import GpuTime
from quota.clock import ms_between

LeaseState = Literal["waiting", "held", "active", "stopping", "ended"]
StopReason = Literal[
    "person", "left_line", "spawn_failed", "server_gone", "organizer", "exhausted", "orphan",
    "not_there", "never_started", "not_admitted", "blackout", "idle", "reserved", "gpu_lost",
    "scholar", "displaced",
]  # fmt: skip

# The name, that no server can have, of a place in the line that is kept for its holder while they
# work on a CPU: it belongs to no server. An account has at most one, as of every name.
KEPT_PLACE = "#line"

END_TEXTS: dict[str, str] = {
    "person": "The session was stopped from the hub.",
    "scholar": "The session was stopped on the page of GPU-hours.",
    "left_line": "The place in the line was given up.",
    "spawn_failed": "The server could not be started.",
    "server_gone": "The server ended by itself.",
    "organizer": "An organizer stopped the session.",
    "exhausted": "The session was stopped because the GPU-hours are used up.",
    "blackout": "The session was stopped because the GPUs were closed.",
    "idle": "The session was stopped because it did not use its GPU.",
    "reserved": "The session was stopped because its GPU was reserved from then on.",
    "gpu_lost": "The session was stopped because its GPU has failed.",
    "displaced": "The session was started while the books were away; its GPU was another's since.",
    "orphan": "The server ran without a lease and was stopped.",
    "not_there": "The turn came, but nobody was there within the time that a place is kept.",
    "never_started": "The server did not start in time.",
    "not_admitted": "The server started before its turn had come, and was stopped.",
    "taken_up": "The place in the line was taken up by another request.",
    "refused": "The request was refused when its turn came.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRequest:
    """What somebody asks for: who, where, which flavor and image."""

    hub_id: str
    account: str
    server_name: str
    flavor: str
    image: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The expiring right to run a server on a flavor, and what is known of its session.

    `used_permille` is which part of their GPU-hours its holder had used when it came into the
    line; at `yields_at` its GPU is reserved for others, by the reservation `yields_to` if that is
    a scholar's.
    """

    id: UUID
    account_id: int
    server_name: str
    flavor: str
    image: str
    state: LeaseState
    weight_mgpu: int
    share_mgpu: int
    memory_mib: int
    requested_at: datetime
    asked_at: datetime
    gpu_uuid: str | None = None
    hold: GpuTime = GpuTime.ZERO
    offered_at: datetime | None = None
    held_at: datetime | None = None
    ref: str | None = None
    started_at: datetime | None = None
    observed_until: datetime | None = None
    charged_until: datetime | None = None
    ended_at: datetime | None = None
    stop_reason: str | None = None
    stop_asked_at: datetime | None = None
    end_reason: str | None = None
    paid_until: datetime | None = None
    warned_min: int | None = None
    used_permille: int | None = None
    yields_at: datetime | None = None
    yields_to: UUID | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether it can still cost anything or hold a slot."""
        return self.state != "ended"

    @property
    def keeps_place(self) -> bool:
        """Tell whether it is a place in the line that is kept while its holder does without."""
        return self.state == "waiting" and self.server_name == KEPT_PLACE

    @property
    def is_running(self) -> bool:
        """Tell whether the runtime has shown it running and not yet gone."""
        return self.state in ("active", "stopping") and self.started_at is not None

    @property
    def occupies(self) -> bool:
        """Tell whether it holds a slot on a GPU."""
        return self.is_open and self.gpu_uuid is not None

    @property
    def is_on_gpu(self) -> bool:
        """Tell whether it runs on a GPU."""
        return self.is_running and self.occupies

    def unposted(self, until: datetime) -> GpuTime:
        """Return what it has used and not yet posted; a clock set back never makes it less."""
        if not self.is_running or self.charged_until is None:
            return GpuTime.ZERO
        until = max(until, self.observed_until or until)
        return GpuTime.of(self.weight_mgpu, max(0, ms_between(self.charged_until, until)))


def activated(lease: Lease, *, ref: str, started_at: datetime, seen_at: datetime) -> Lease:
    """The runtime shows the container running: the meter starts at its own start."""
    assert lease.state in ("held", "stopping"), lease.state
    return replace(
        lease,
        state="stopping" if lease.state == "stopping" else "active",
        ref=ref,
        started_at=started_at,
        charged_until=started_at,
        observed_until=max(started_at, seen_at),
    )


def stopping(lease: Lease, *, reason: str, at: datetime) -> Lease:
    """Somebody, or the books, want it gone; the first reason stays."""
    if lease.state == "stopping":
        return lease
    assert lease.state != "ended"
    return replace(lease, state="stopping", stop_reason=reason, stop_asked_at=at)


def ended(lease: Lease, *, reason: str, at: datetime) -> Lease:
    """Close the lease; the caller has posted what was used and voided the hold."""
    assert lease.is_open
    assert not lease.hold, "a hold is posted or voided before the end"
    return replace(lease, state="ended", ended_at=at, end_reason=reason, gpu_uuid=None)


def end_text(reason: str | None) -> str | None:
    """Say in a plain sentence why a session ended."""
    return None if reason is None else END_TEXTS.get(reason, "The session has ended.")
