"""The JSON of help: raised hands, consent, and a session that asks who may be in it."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from api.schemas import Body, Name, Reason, ServerName, ShortName
from api.schemas_office import Answer
from quota.help_queue import HelpState

Path = Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00-\x1f\x7f]*$")]


class HelpIn(Body):
    """Raise a hand."""

    hub_id: ShortName
    message: Reason = Field(description="What help is wanted with.")
    path: Path = Field(default="", description="The notebook or file that it is about.")
    server_name: ServerName = Field(default="", description="The session it is in.")


class HandOverIn(Body):
    """Pass a request for help on."""

    to: Name | None = Field(description="Another TA of the section; null puts it back.")


class ResolveIn(Body):
    """Close a request that was helped."""

    text: Answer = Field(default="", description="What the scholar reads.")


class HelpOut(BaseModel):
    """A request for help; `place` counts the waiting ones of its section, 1 is next."""

    id: UUID
    account: str
    section: str | None
    server_name: str
    message: str
    path: str
    state: HelpState
    place: int | None
    raised_at: datetime
    claimed_by: str | None
    claimed_at: datetime | None
    closed_by: str | None
    closed_at: datetime | None
    answer: str


class HelpPage(BaseModel):
    """Requests for help, the oldest first."""

    help_requests: list[HelpOut]
    next: str | None


class ConsentIn(Body):
    """Choose when TAs may attach to your sessions."""

    choice: Literal["always", "asking"] = Field(
        description="`always`, or only while `asking` for help."
    )


class ConsentOut(BaseModel):
    """When TAs may attach; `chosen_at` is null where nobody chose."""

    account: str
    choice: Literal["always", "asking"]
    chosen_at: datetime | None


class VisitsIn(Body):
    """Say, for a session, that it tells visitors from its scholar."""

    no_observing: Annotated[str, StringConstraints(max_length=500)] = Field(
        description="Why it cannot hold a visitor to reading; empty when it can."
    )


class VisitOut(BaseModel):
    """Somebody who may be in a session now."""

    ta: str
    mode: Literal["observe", "co_edit"]
    until: datetime


class VisitsOut(BaseModel):
    """Who may be in a session now, besides its scholar."""

    visits: list[VisitOut]
