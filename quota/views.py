"""What the books answer: plain values for the service's routes and pages. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from quota.amount import GpuTime
from quota.calendar import Week
from quota.errors import Refusal
from quota.lab_gpus import Flavor, Image
from quota.leases import Lease
from quota.ledger import Lot
from quota.placement import GpuUse
from quota.session_states import StoredState


@dataclass(frozen=True, slots=True, kw_only=True)
class LineView:
    """Where a waiting lease stands."""

    position: int
    of: int
    reason: str
    text: str
    estimated_wait_s: int | None
    offered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseView:
    """One lease as its holder sees it."""

    lease: Lease
    hub_id: str
    account: str
    gpu: GpuUse | None
    line: LineView | None
    start_before: datetime | None
    end_text: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionView:
    """An open lease in an account's list: what it has cost, posted or not, and when it ends.

    Until `turn_until` a GPU is kept for one that waits and is not there.
    """

    lease: Lease
    charged: GpuTime
    ends_at: datetime | None
    turn_until: datetime | None = None
    state: StoredState | None = None
    release_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeView:
    """One posted charge."""

    lease_id: UUID
    from_at: datetime
    until_at: datetime
    amount: GpuTime


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeView:
    """Something that was told to the scholar."""

    id: UUID
    kind: str
    text: str
    lease_id: UUID | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """A scholar's books at an instant; the unposted part of running sessions is counted."""

    account: str
    hub_id: str
    section: str | None
    time_zone: str
    week: Week | None
    granted: GpuTime
    charged: GpuTime
    held: GpuTime
    balance: GpuTime
    available: GpuTime
    debt: GpuTime
    lots: tuple[Lot, ...]
    sessions: tuple[SessionView, ...]
    charges: tuple[ChargeView, ...]
    notices: tuple[NoticeView, ...]
    runs_out_at: datetime | None = None
    """When the hours are used up if what runs now goes on; None while that is not in sight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlavorView:
    """A flavor as an account can have it now."""

    flavor: Flavor
    free_slots: int
    total_slots: int
    lasts_s: int | None
    refusal: Refusal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpawnView:
    """Everything that the spawn page shows."""

    account: AccountView
    flavors: tuple[FlavorView, ...]
    images: tuple[Image, ...]
    gpu_notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantView:
    """A grant as it stands in the books."""

    id: UUID
    account: str
    hub_id: str
    amount: GpuTime
    starts_at: datetime
    ends_at: datetime
    author: str
    reason: str
    source: str = "grant"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadView:
    """What the metrics show: no names of people.

    `waiting_since` has for each flavor when the one who has waited longest asked; `overdue` counts
    sessions that run although they should have been stopped by now.
    """

    sessions: dict[tuple[str, str], int]
    gpus: tuple[GpuUse, ...]
    counters: dict[tuple[str, str], int]
    unposted: GpuTime
    oldest_tick_at: datetime | None
    flavors: tuple[str, ...]
    help_requests: Mapping[str, int] = field(default_factory=dict)
    emergency_is_open: bool = False
    emergency_starts: int = 0
    waiting_since: Mapping[str, datetime] = field(default_factory=dict)
    overdue: int = 0
    attachments: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOnGpu:
    """A running session for those who watch the GPUs: its lease's id and no name."""

    lease_id: UUID
    flavor: str
    gpu_uuid: str
    section: str
    does: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DetailsView:
    """What grows with GPUs, sections and sessions, and is asked for apart from all else."""

    gpus: tuple[GpuUse, ...]
    sessions: tuple[SessionOnGpu, ...]
    counters: dict[tuple[str, str], int]
