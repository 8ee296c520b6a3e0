"""What the service answers, as far as the hub reads it; what it does not know it ignores."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict


class Reply(BaseModel):
    """A part of an answer: unknown fields are a newer service's, wrong ones are an error."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Gpu(Reply):
    """The GPU of a lease."""

    uuid: str
    virtual: bool
    memory_mib: int = 0
    gpu_memory_mib: int = 0
    sharing: str = "plain"
    holds_memory: bool = False


class Line(Reply):
    """A place in the waiting line."""

    position: int
    of: int
    reason: str
    text: str
    estimated_wait_s: int | None
    offered: bool


class Lease(Reply):
    """Where a lease stands."""

    id: UUID
    state: Literal["waiting", "held", "active", "stopping", "ended"]
    gpu: Gpu | None
    waiting: Line | None
    end_reason: str | None
    end_text: str | None


class GpuState(Reply):
    """What a session does with its GPU, and when it will have to give it back."""

    state: str
    release_at: AwareDatetime | None
    kept_until: AwareDatetime | None


class Visit(Reply):
    """Somebody who may be in a session now."""

    ta: str
    mode: Literal["observe", "co_edit"]
    until: AwareDatetime


class Visits(Reply):
    """Who may be in a session now, besides its scholar."""

    visits: list[Visit]


class Session(Reply):
    """An open session or place in the line."""

    lease_id: UUID
    server_name: str
    flavor: str
    image: str = ""
    state: str
    keeps_place: bool = False
    turn_until: AwareDatetime | None = None
    weight_mgpu: int
    started_at: AwareDatetime | None
    charged_mgpu_ms: int
    ends_at: AwareDatetime | None
    gpu_state: GpuState | None = None


class Notice(Reply):
    """Something that the lab told the person."""

    kind: str
    text: str
    at: AwareDatetime


class Account(Reply):
    """A person's books."""

    account: str
    section: str | None
    time_zone: str
    resets_at: AwareDatetime | None
    balance_hours: str
    held_mgpu_ms: int
    debt_mgpu_ms: int
    sessions: list[Session]
    notices: list[Notice]
    server_time: AwareDatetime


class WhyNot(Reply):
    """Why a flavor cannot be had now."""

    code: str
    detail: str
    retry_at: AwareDatetime | None


class Flavor(Reply):
    """A flavor as this person can have it now."""

    name: str
    title: str
    description: str
    is_gpu: bool
    weight_mgpu: int
    free_slots: int
    total_slots: int
    lasts_s: int | None
    may_start: bool
    refusal: WhyNot | None


class Image(Reply):
    """An image to choose."""

    name: str
    title: str
    description: str


class SpawnOptions(Reply):
    """What the spawn page shows."""

    account: Account
    flavors: list[Flavor]
    images: list[Image]
    gpu_notes: list[str] = []


class Running(Reply):
    """A running session, as the program sees it that stops idle ones."""

    account: str
    server_name: str
    has_gpu: bool


class RunningSessions(Reply):
    """All running sessions, and after how long without a sign one without a GPU may end."""

    cpu_idle_s: int
    sessions: list[Running]


class KnownGpu(Reply):
    """A GPU of the lab."""

    uuid: str
    name: str
    kind: str
    memory_mib: int
    in_service: bool
    sharing: Literal["plain", "exclusive", "mig", "mps"]
    holds_memory: bool


class Occupied(Reply):
    """A session's part of a GPU; `ref` is its name at the runtime, if it has shown there."""

    lease_id: UUID
    account: str
    gpu_uuid: str
    share_mgpu: int
    memory_mib: int
    ref: str
    is_starting: bool


class Gpus(Reply):
    """All GPUs of the lab, and who is on them."""

    gpus: list[KnownGpu]
    occupied: list[Occupied]


class Told(Reply):
    """The books have taken note of something under this id."""

    id: UUID


class Problem(Reply):
    """A refusal as `application/problem+json`."""

    code: str
    detail: str
    retry_at: datetime | None = None
    ask: str | None = None
