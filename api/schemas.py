"""The JSON of the service: its own types, apart from the domain's and the tables'.

GPU time is a whole number of thousandths of a GPU x milliseconds (`..._mgpu_ms`); 3,600,000,000 of
them are one GPU-hour. `..._hours` are texts for people, rounded once.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

# No control characters anywhere: they are no part of a name, PostgreSQL refuses NUL, and a line
# break would tear a log line.
_PLAIN = r"^[^\x00-\x1f\x7f]*$"
Name = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=_PLAIN)]
ServerName = Annotated[str, StringConstraints(max_length=255, pattern=_PLAIN)]
ShortName = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=_PLAIN)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=_PLAIN)]

# Far behind every program, and far before the instants that no longer have a millisecond count.
_LAST_END = datetime(2200, 1, 1, tzinfo=UTC)


class Body(BaseModel):
    """What comes in: nothing unknown is accepted."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LeaseIn(Body):
    """Ask for a session."""

    hub_id: ShortName
    account: Name
    server_name: ServerName
    flavor: ShortName
    image: ShortName
    present: bool = Field(default=True, description="Somebody is there to use it right away.")


class StopIn(Body):
    """Ask for the end of a session."""

    reason: Literal["person", "left_line", "spawn_failed", "server_gone", "organizer"]


class GrantIn(Body):
    """Give extra GPU-hours."""

    hub_id: ShortName
    account: Name
    hours: Annotated[str, StringConstraints(max_length=32)] = Field(
        description='Hours as text: "2.5"', examples=["2.5"]
    )
    reason: Reason
    until: AwareDatetime | None = Field(
        default=None, lt=_LAST_END, description="End; else the week's end."
    )


class GpuOut(BaseModel):
    """The GPU that a lease occupies a part of."""

    uuid: str
    name: str
    share_mgpu: int
    memory_mib: int
    virtual: bool
    gpu_memory_mib: int
    sharing: Literal["plain", "exclusive", "mig", "mps"]
    holds_memory: bool


class WaitingOut(BaseModel):
    """A place in the line; 1 is next."""

    position: int
    of: int
    reason: str
    text: str
    estimated_wait_s: int | None
    offered: bool


class LeaseOut(BaseModel):
    """A lease."""

    id: UUID
    hub_id: str
    account: str
    server_name: str
    flavor: str
    image: str
    state: Literal["waiting", "held", "active", "stopping", "ended"]
    weight_mgpu: int
    gpu: GpuOut | None
    waiting: WaitingOut | None
    start_before: datetime | None
    started_at: datetime | None
    end_reason: str | None
    end_text: str | None
    server_time: datetime


class WeekOut(BaseModel):
    """The week that is running: [starts_at, ends_at)."""

    number: int | None
    topic: str | None
    starts_at: datetime
    ends_at: datetime


class LotOut(BaseModel):
    """Something that gave GPU time."""

    id: UUID
    source: str
    amount_mgpu_ms: int
    remaining_mgpu_ms: int
    starts_at: datetime
    ends_at: datetime
    author: str
    reason: str


class GpuStateOut(BaseModel):
    """What a session does with its GPU, and when it will have to give it back.

    `busy_ratio` is how much of the time since the look before it had a kernel on the GPU, and
    `held_mib` the memory that its processes hold there, as of the last minute; null: not measured.
    """

    state: Literal["active", "training", "holding", "empty", "unknown"]
    since: datetime
    release_at: datetime | None
    kept_until: datetime | None
    busy_ratio: Annotated[float, Field(ge=0, le=1)] | None
    held_mib: int | None


class SessionOut(BaseModel):
    """An open session or place in the line.

    With `keeps_place` it is a place that belongs to no server: its holder works on a CPU
    meanwhile. At `turn_until` the GPU that is kept for it goes to the next.
    """

    lease_id: UUID
    server_name: str
    flavor: str
    image: str
    state: str
    keeps_place: bool
    turn_until: datetime | None
    weight_mgpu: int
    gpu_uuid: str | None
    started_at: datetime | None
    charged_mgpu_ms: int
    ends_at: datetime | None
    gpu_state: GpuStateOut | None


class RunningOut(BaseModel):
    """A running session, whoever pays for it; state None: nobody has told what it does."""

    account: str
    server_name: str
    has_gpu: bool
    state: Literal["active", "training", "holding", "empty", "unknown"] | None


class RunningSessions(BaseModel):
    """All running sessions; after `cpu_idle_s` without a sign one without a GPU may end."""

    cpu_idle_s: int
    sessions: list[RunningOut]


class ChargeOut(BaseModel):
    """A posted charge."""

    lease_id: UUID
    from_at: datetime
    until_at: datetime
    amount_mgpu_ms: int


class NoticeOut(BaseModel):
    """Something that was told to the scholar."""

    id: UUID
    kind: str
    text: str
    lease_id: UUID | None
    at: datetime


class AccountOut(BaseModel):
    """A scholar's books."""

    account: str
    hub_id: str
    section: str | None
    time_zone: str
    week: WeekOut | None
    resets_at: datetime | None
    granted_mgpu_ms: int
    charged_mgpu_ms: int
    held_mgpu_ms: int
    balance_mgpu_ms: int
    available_mgpu_ms: int
    debt_mgpu_ms: int
    balance_hours: str
    available_hours: str
    lots: list[LotOut]
    sessions: list[SessionOut]
    charges: list[ChargeOut]
    notices: list[NoticeOut]
    server_time: datetime


class RefusalOut(BaseModel):
    """Why a flavor cannot be had now."""

    code: str
    detail: str
    retry_at: datetime | None


class FlavorOut(BaseModel):
    """A flavor as this person can have it now."""

    name: str
    title: str
    description: str
    is_gpu: bool
    weight_mgpu: int
    cost_text: str
    free_slots: int
    total_slots: int
    lasts_s: int | None
    may_start: bool
    refusal: RefusalOut | None


class ImageOut(BaseModel):
    """An image to choose."""

    name: str
    title: str
    description: str


class SpawnOptionsOut(BaseModel):
    """What the spawn page shows."""

    account: AccountOut
    flavors: list[FlavorOut]
    images: list[ImageOut]
    gpu_notes: list[str]
    notices: list[NoticeOut]
    server_time: datetime


class GrantOut(BaseModel):
    """A grant."""

    id: UUID
    account: str
    hub_id: str
    amount_mgpu_ms: int
    starts_at: datetime
    ends_at: datetime
    author: str
    reason: str
    source: str
