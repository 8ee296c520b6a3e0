"""The JSON of bulk grants and of usage."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

from api.schemas import Body, GrantOut, ShortName

Cell = Annotated[str, StringConstraints(max_length=1000)]


class BulkRow(Body):
    """One grant of many."""

    account: Cell
    hours: Cell
    reason: Cell


class BulkIn(Body):
    """Give hours to many scholars at once; the id makes repeating it safe."""

    id: UUID
    hub_id: ShortName
    until: AwareDatetime | None = Field(default=None, description="End; else the week's end.")
    rows: list[BulkRow] = Field(min_length=1, max_length=100_000)


class RowFaultOut(BaseModel):
    """A row that cannot be granted; `line` counts from 1, in a CSV with its first line."""

    line: int
    account: str
    what: str


class BulkChange(BaseModel):
    """What a row changes."""

    account: str
    hours: str
    available_before_mgpu_ms: int
    available_after_mgpu_ms: int


class BulkTrial(BaseModel):
    """What a bulk grant would do. With faults it cannot be carried out, and `token` is null."""

    id: UUID
    count: int
    total_mgpu_ms: int
    total_hours: str
    faults: list[RowFaultOut]
    faults_left_out: int
    changes: list[BulkChange]
    changes_left_out: int
    token: str | None


class BulkDone(BaseModel):
    """What a bulk grant gave."""

    id: UUID
    count: int
    total_mgpu_ms: int
    total_hours: str
    grants: list[GrantOut]
    grants_left_out: int


class UsageLine(BaseModel):
    """One charged interval of a session."""

    account: str
    section: str | None
    flavor: str
    lease_id: UUID
    from_at: datetime
    until_at: datetime
    mgpu_ms: int
    gpu_hours: str


class UsageOut(BaseModel):
    """Posted charges that touch a time, by account, then by time."""

    starts_at: datetime
    ends_at: datetime
    lines: list[UsageLine]
