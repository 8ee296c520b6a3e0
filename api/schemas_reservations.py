"""The JSON of what scholars reserve ahead."""

from datetime import datetime
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field

from api.schemas import Body, ShortName
from quota.reservations import ReservationState


class ReservationIn(Body):
    """Reserve a GPU share for yourself."""

    hub_id: ShortName
    flavor: ShortName = Field(description="What to reserve; one with a GPU.")
    starts_at: AwareDatetime = Field(description="When it begins.")
    minutes: int = Field(ge=1, le=10_080, strict=True, description="For how long.")


class ReservationOut(BaseModel):
    """A GPU share that is kept for a scholar from `starts_at` to `ends_at` while it is open."""

    id: UUID
    account: str
    section: str | None
    flavor: str
    starts_at: datetime
    ends_at: datetime
    state: ReservationState
    made_at: datetime
    closed_at: datetime | None


class ReservationPage(BaseModel):
    """Reservations, the first to begin first."""

    reservations: list[ReservationOut]
    next: str | None
