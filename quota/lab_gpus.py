"""What a lab has to offer: flavors, images and GPUs, as `lab.yaml` says them."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from quota.lab_fields import (
    DockerReference,
    Fault,
    GpuUuid,
    LabModel,
    Mib,
    Real,
    ShortName,
    Text,
    Whole,
    complaint,
    shown,
)
from quota.placement import FULL_MGPU

Sharing = Literal["plain", "exclusive", "mig", "mps"]


class Flavor(LabModel):
    """A kind of GPU share to ask for: what it costs and what it occupies."""

    name: ShortName
    title: Text = Field(default="", description="Its name as people read it.")
    description: Text = Field(default="", description="One sentence for the spawn page.")
    weight_mgpu: Whole = Field(
        ge=0, le=100_000, description="What it costs, in thousandths of a GPU-hour per hour."
    )
    share_mgpu: Whole = Field(
        default=0,
        ge=0,
        le=FULL_MGPU,
        description="Thousandths of one GPU that it occupies; 0: CPU.",
    )
    memory_mib: Mib = Field(default=0, ge=0, description="GPU memory that it occupies, in MiB.")
    gpu_models: tuple[Annotated[Text, Field(min_length=1)], ...] = Field(
        default=(), max_length=20, description="Models or MIG profiles that it may be placed on."
    )
    cpus: Real = Field(default=1.0, gt=0, le=1024, description="CPU cores of a session.")
    ram_mib: Mib = Field(default=2048, ge=128, description="Memory of a session, in MiB.")

    @field_validator("weight_mgpu", mode="before")
    @classmethod
    def _has_one_price(cls, value: object) -> object:
        # What somebody pays is shown before it is known on which GPU they will be.
        if isinstance(value, dict | list):
            wrong = f"{shown(value)}, where a flavor has one price on whatever GPU it is placed"
            right = "make a flavor for each GPU model, with gpu_models and weight_mgpu of its own"
            raise complaint(Fault((), wrong, right))
        return value

    @property
    def is_gpu(self) -> bool:
        """Tell whether it occupies a GPU."""
        return self.share_mgpu > 0

    @model_validator(mode="after")
    def _costs_what_it_takes(self) -> Self:
        if self.is_gpu and self.weight_mgpu == 0:
            raise complaint(
                Fault(("weight_mgpu",), "a GPU flavor must cost something", "write 1 or more")
            )
        if not self.is_gpu and self.weight_mgpu > 0:
            wrong = f"{self.weight_mgpu} for a CPU flavor; CPU sessions cost no GPU time"
            raise complaint(Fault(("weight_mgpu",), wrong, "write 0, or give it a share_mgpu"))
        if not self.is_gpu and self.memory_mib > 0:
            wrong = f"{self.memory_mib} MiB of GPU memory for a flavor without a GPU"
            raise complaint(Fault(("memory_mib",), wrong, "write 0, or give it a share_mgpu"))
        if not self.is_gpu and self.gpu_models:
            wrong = "a flavor without a GPU names GPU models"
            raise complaint(Fault(("gpu_models",), wrong, "remove it, or give it a share_mgpu"))
        return self


class Image(LabModel):
    """What software a session starts with."""

    name: ShortName
    title: Text = Field(default="", description="Its name as people read it.")
    description: Text = Field(default="", description="One sentence for the spawn page.")
    docker: DockerReference = Field(description="Docker image reference.")
    read_only: bool = Field(
        default=False, description="Sessions cannot write outside their home and /tmp."
    )


class DeclaredGpu(LabModel):
    """GPUs that the lab pretends to have, to run and be shown without one."""

    name: Text = Field(min_length=1, description="What they are called.")
    memory_mib: Mib = Field(ge=1, description="Memory of each, in MiB.")
    count: Whole = Field(default=1, ge=1, le=1024, description="How many of them there are.")


class DrainedGpu(LabModel):
    """A GPU that takes no new sessions; those on it stay."""

    name: GpuUuid
    why: Text = Field(default="", description="Why, for the other organizers.")


class GpuPolicy(LabModel):
    """Which GPUs the lab has and how sessions share them."""

    mode: Literal["auto", "nvml", "declared"] = Field(
        default="auto", description="auto: real GPUs if there are any, else the declared ones."
    )
    declared: tuple[DeclaredGpu, ...] = Field(default=(), description="Virtual GPUs.")
    max_sharers: Whole = Field(default=4, ge=1, le=64, description="Most sessions on one GPU.")
    placement: Literal["pack", "spread"] = Field(
        default="pack", description="pack: fullest GPU that fits; spread: emptiest."
    )

    sharing: Sharing = Field(
        default="plain", description="How sessions share a GPU: plain, exclusive, mig or mps."
    )
    sharing_of: dict[GpuUuid, Sharing] = Field(
        default={}, max_length=1024, description="How single GPUs are shared, by their UUID."
    )
    memory: Literal["auto", "advice"] = Field(
        default="auto", description="auto: hold sessions to their GPU memory where that works."
    )

    def sharing_on(self, uuid: str) -> Sharing:
        """Return how the sessions on a GPU are to share it."""
        return self.sharing_of.get(uuid, self.sharing)

    @model_validator(mode="after")
    def _has_what_it_declares(self) -> Self:
        if self.mode == "declared" and not self.declared:
            right = "add at least one under 'declared', or write mode: auto"
            raise complaint(Fault(("mode",), "no GPUs are declared", right))
        return self
