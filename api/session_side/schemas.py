"""The JSON of the session listener: its own types, since sessions of older images ask it, too.

Amounts are as in `api.schemas`: thousandths of a GPU x milliseconds, and texts for people.
"""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from api.schemas import Body, Reason
from api.schemas_help import Path
from quota.help_queue import HelpState

RunState = Literal["held", "active", "stopping"]
LabName = Annotated[str, StringConstraints(max_length=32, pattern=r"^[a-z0-9-]+$")]


class HandIn(Body):
    """Raise a hand from a notebook."""

    message: Reason = Field(description="What help is wanted with.")
    path: Path | None = Field(default=None, description="The notebook that it is about.")


class FlavorFacts(BaseModel):
    """What the session runs on."""

    name: str
    title: str
    is_gpu: bool
    weight_mgpu: int


class GpuFacts(BaseModel):
    """The part of a GPU that it has."""

    name: str
    share_mgpu: int
    memory_mib: int
    virtual: bool


class BalanceFacts(BaseModel):
    """The scholar's hours, all sessions counted; `lasts_until` if they are used as this week."""

    available_mgpu_ms: int
    granted_mgpu_ms: int
    charged_mgpu_ms: int
    available_hours: str
    granted_hours: str
    resets_at: datetime | None
    lasts_until: datetime | None


class RunFacts(BaseModel):
    """What the session has cost and when it ends; `end_text` says why it is being ended."""

    lease_id: UUID
    state: RunState
    started_at: datetime | None
    charged_mgpu_ms: int
    charged_hours: str
    ends_at: datetime | None
    end_text: str | None


class UseFacts(BaseModel):
    """What it does with its GPU, as it was last seen; null is what nobody can tell."""

    state: Literal["active", "training", "holding", "empty", "unknown"]
    since: datetime
    gpu_ratio: float | None
    memory_mib: int | None
    release_at: datetime | None
    kept_until: datetime | None


class VisitFacts(BaseModel):
    """A TA who may be in the session now."""

    id: UUID
    ta: str
    mode: Literal["observe", "co_edit"]
    reason: str
    until: datetime


class HelpFacts(BaseModel):
    """A raised hand; `place` counts who waits in the section, 1 is next."""

    id: UUID
    state: HelpState
    place: int | None
    message: str
    claimed_by: str | None
    raised_at: datetime


class MayFacts(BaseModel):
    """What would be done now if the session asked for it."""

    keep: bool
    ask: bool


class LinkFacts(BaseModel):
    """Pages in the scholar's browser; relative where the lab has one host only."""

    hours: str
    hub_home: str
    start: str


class FactsOut(BaseModel):
    """All that a session shows; to be asked for again after `poll_after_s`."""

    server_time: datetime
    poll_after_s: int
    scholar: str
    server_name: str
    section: str | None
    flavor: FlavorFacts
    gpu: GpuFacts | None
    balance: BalanceFacts
    session: RunFacts
    warn_min: list[int]
    use: UseFacts | None
    attached: list[VisitFacts]
    help: HelpFacts | None
    labs_passed: list[str]
    can: MayFacts
    links: LinkFacts


class WhyLine(BaseModel):
    """One reason for a part of the hours."""

    text: str
    amount_mgpu_ms: int
    hours: str


class WhyOut(BaseModel):
    """Why there are so many hours: the lines sum to the balance, holds are not yet taken off."""

    available_mgpu_ms: int
    available_hours: str
    balance_mgpu_ms: int
    balance_hours: str
    lines: list[WhyLine]


class KeptOut(BaseModel):
    """Until when an idle GPU is kept."""

    kept_until: datetime


class DoneOut(BaseModel):
    """How far the end of the session is."""

    state: Literal["held", "active", "stopping", "ended"]


class PassedOut(BaseModel):
    """A lab that was passed, and when for the first time."""

    lab: str
    passed_at: datetime
