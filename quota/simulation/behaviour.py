"""How scholars behave, as numbers: what simulations draw from.

Where a number comes from, and which ones are invented, is told in docs/planning.md.
"""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

HOURS_PER_DAY = 24
DAYS_PER_WEEK = 7

Share = Annotated[float, Field(ge=0, le=1)]
Spread = Annotated[float, Field(ge=0, le=3)]
Weights = Annotated[tuple[float, ...], Field(min_length=1)]

# Work of remote scholars with jobs and classes beside: little at night, most in the evening.
_BY_HOUR = (
    0.5, 0.3, 0.2, 0.1, 0.1, 0.1, 0.2, 0.4, 0.8, 1.2, 1.4, 1.4,
    1.2, 1.3, 1.5, 1.5, 1.4, 1.3, 1.4, 1.7, 1.9, 1.8, 1.4, 0.9,
)  # fmt: skip
_BY_WEEKDAY = (1.0, 1.05, 1.05, 1.0, 0.9, 0.8, 0.95)


class Behaviour(BaseModel):
    """What scholars do; every field can be set in a file for `gpulab plan --behaviour`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wanted_share: float = Field(
        default=0.7, gt=0, le=10, description="GPU-hours that people want, as part of their own."
    )
    wanted_spread: Spread = Field(
        default=0.5, description="How much that differs between scholars (sigma of a lognormal)."
    )
    week_spread: Spread = Field(
        default=0.35, description="How much it differs between the weeks of one scholar."
    )
    by_hour: Weights = Field(default=_BY_HOUR, description="Arrivals by hour of the local day.")
    by_weekday: Weights = Field(default=_BY_WEEKDAY, description="Arrivals from Monday on.")
    due_hours: int = Field(
        default=48, ge=0, le=336, description="How long before something is due the rush begins."
    )
    due_factor: float = Field(default=3.0, ge=0, le=100, description="Arrivals in a rush.")
    co_working_factor: float = Field(
        default=4.0, ge=0, le=100, description="Arrivals while the section works together."
    )
    session_min: float = Field(default=75, gt=0, le=10_000, description="Median session.")
    session_spread: Spread = Field(default=0.8, description="Sigma of the lognormal of sessions.")
    forgets: Share = Field(default=0.1, description="Sessions that nobody stops in time.")
    forgotten_min: float = Field(
        default=240, gt=0, le=10_000, description="Median time for which they run on."
    )
    patience_min: float = Field(
        default=60, gt=0, le=10_000, description="Median time after which people leave the line."
    )
    patience_spread: Spread = Field(default=0.9, description="Sigma of its lognormal.")
    comes_again: Share = Field(
        default=0.5, description="Who comes again later after a refusal or a wait in vain."
    )
    comes_again_min: float = Field(default=120, gt=0, description="Mean time until then.")
    away: Share = Field(default=0.15, description="Who is not looking when the turn comes.")
    away_min: float = Field(default=8, gt=0, description="Mean time until they look again.")
    start_s: float = Field(default=12, gt=0, description="Median time that a start takes.")
    start_fails: Share = Field(default=0.005, description="Starts that never get anywhere.")
    dies: Share = Field(default=0.01, description="Sessions that die by themselves.")
    cpu_share: Share = Field(default=0.0, description="Visits that want no GPU.")
    flavor_shares: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default={}, description="How often each GPU flavor is wanted; smaller ones more if empty."
    )

    @model_validator(mode="after")
    def _days_are_whole(self) -> Self:
        if len(self.by_hour) != HOURS_PER_DAY or len(self.by_weekday) != DAYS_PER_WEEK:
            raise ValueError("by_hour needs 24 numbers and by_weekday 7")
        if min(*self.by_hour, *self.by_weekday) < 0 or not sum(self.by_hour):
            raise ValueError("by_hour and by_weekday are not negative, and not all zero")
        return self
