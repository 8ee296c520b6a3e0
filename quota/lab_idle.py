"""When a session counts as idle, and what becomes of it, as `lab.yaml` says it."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from quota.lab_fields import Fault, LabModel, Whole, complaint

Percent = Annotated[Whole, Field(ge=1, le=100)]
SomeMinutes = Annotated[Whole, Field(ge=1, le=1440)]


class IdleRules(LabModel):
    """A session is idle when nobody is there and neither its GPU nor its CPUs do anything."""

    active_min: SomeMinutes = Field(
        default=10, description="How long after their last sign somebody counts as there."
    )
    busy_gpu_percent: Percent = Field(
        default=5, description="From how much of the time with a kernel on the GPU it is used."
    )
    busy_cpu_percent: Percent = Field(
        default=10, description="From how much of one CPU core a session computes."
    )
    training_min: SomeMinutes = Field(
        default=10, description="How long a GPU must be used on average to count as training."
    )
    holding_min: Whole = Field(
        default=30, ge=0, le=1440,
        description="Idle with GPU memory held: then the GPU is given back; 0: never.",
    )  # fmt: skip
    empty_min: Whole = Field(
        default=30, ge=0, le=1440,
        description="Idle with nothing on the GPU: then the GPU is given back; 0: never.",
    )  # fmt: skip
    warn_min: SomeMinutes = Field(
        default=10, description="How long before that its scholar is warned."
    )
    keep_min: SomeMinutes = Field(
        default=30, description="How long an idle GPU is kept for a scholar who asks for that."
    )
    cpu_min: Whole = Field(
        default=60, ge=0, le=10_080,
        description="A session without a GPU is stopped after so long without a sign; 0: never.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _warns_in_time(self) -> Self:
        for name in ("holding_min", "empty_min"):
            idle_min = getattr(self, name)
            if 0 < idle_min <= self.warn_min:
                wrong = f"{idle_min} minutes leave no time to warn {self.warn_min} minutes before"
                raise complaint(Fault((name,), wrong, f"write more than {self.warn_min}, or 0"))
        return self
