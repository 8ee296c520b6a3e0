"""The JSON of emergencies: what the hub tells afterwards, and what it asks for beforehand."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, StringConstraints

from api.schemas import Body, Name, Reason, ServerName, ShortName
from quota.clock import whole_ms

# The unit of the books: what is told again has to be the same.
_Told = Annotated[AwareDatetime, Field(gt=datetime.fromisoformat("2020-01-01T00:00:00Z"),
                                       lt=datetime.fromisoformat("2200-01-01T00:00:00Z")),
                  AfterValidator(whole_ms)]  # fmt: skip
_Uuid = Annotated[str, StringConstraints(min_length=1, max_length=128,
                                         pattern=r"^[^\x00-\x1f\x7f]*$")]  # fmt: skip


class EmergencyIn(Body):
    """An emergency that an organizer opened at the hub, or its end."""

    hub_id: ShortName
    opened_by: Name
    reason: Reason
    opened_at: _Told
    until: _Told
    closed_by: ServerName = Field(default="", description="Who ended it early; empty: nobody.")
    closed_at: _Told | None = None


class EmergencyStartIn(Body):
    """A session that was started in an emergency, without the books."""

    account: Name
    server_name: ServerName
    flavor: ShortName
    gpu_uuid: _Uuid
    started_at: _Told
    ends_at: _Told


class ToldOut(BaseModel):
    """The books have taken note of it."""

    id: UUID


class KnownGpuOut(BaseModel):
    """A GPU of the lab."""

    uuid: str
    name: str
    kind: str
    memory_mib: int
    in_service: bool
    sharing: Literal["plain", "exclusive", "mig", "mps"]
    holds_memory: bool


class OccupiedOut(BaseModel):
    """A session's part of a GPU; `ref` is its name at the runtime, once it has shown there."""

    lease_id: UUID
    account: str
    gpu_uuid: str
    share_mgpu: int
    memory_mib: int
    ref: str
    is_starting: bool


class GpusOut(BaseModel):
    """All GPUs of the lab, and who is on them."""

    gpus: list[KnownGpuOut]
    occupied: list[OccupiedOut]
