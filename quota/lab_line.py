"""Who is next when there are too few GPUs, as `lab.yaml` says it."""

from typing import Annotated

from pydantic import Field

from quota.lab_fields import LabModel, Whole

Minutes = Annotated[Whole, Field(ge=1, le=10_080)]


class LinePolicy(LabModel):
    """The order of the waiting line, and what keeps it from starving anybody."""

    co_working_first: bool = Field(
        default=True, strict=True, description="Sections in their co-working hours go first."
    )
    fair_share: bool = Field(
        default=True,
        strict=True,
        description="Who used the smaller part of their hours goes first.",
    )
    aged_after_min: Minutes = Field(
        default=60, description="After so long nobody who came later goes first any more."
    )
    block_after_min: Minutes = Field(
        default=15, description="After so long a GPU is kept free for a large session."
    )
