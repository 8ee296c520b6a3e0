"""Whether scholars may reserve a GPU share ahead, and how much of it, as `lab.yaml` says it."""

from typing import Self

from pydantic import Field, model_validator

from quota.lab_fields import Fault, LabModel, Whole, complaint

SHORTEST_MIN = 30
"""A reservation for less would hardly be worth starting a session in."""


class ReservationRules(LabModel):
    """How many reservations a scholar may have, for when and for how long."""

    most_open: Whole = Field(
        default=0, ge=0, le=20,
        description="How many reservations a scholar may have open; 0: the lab takes none.",
    )  # fmt: skip
    ahead_days: Whole = Field(
        default=7, ge=1, le=60, description="How far ahead one may begin at most."
    )
    ahead_least_min: Whole = Field(
        default=60, ge=0, le=10_080, description="How long before it begins one is made at least."
    )
    longest_min: Whole = Field(
        default=180, ge=SHORTEST_MIN, le=1440, description="How long one may be."
    )
    no_show_min: Whole = Field(
        default=15, ge=5, le=120,
        description="A GPU that its scholar does not use for so long is given back.",
    )  # fmt: skip
    notice_min: Whole = Field(
        default=720, ge=60, le=10_080,
        description="So long before, a session that runs is told to make room.",
    )  # fmt: skip

    @property
    def are_taken(self) -> bool:
        """Tell whether scholars may reserve anything."""
        return self.most_open > 0

    @model_validator(mode="after")
    def _lasts_longer_than_it_waits(self) -> Self:
        if self.no_show_min >= self.longest_min:
            wrong = f"{self.no_show_min} minutes are not less than the longest reservation"
            right = f"write less than {self.longest_min}"
            raise complaint(Fault(("no_show_min",), wrong, right))
        return self
