"""The lab's policy as data: what `lab.yaml` says, as frozen types that cannot hold nonsense.

`quota.lab_file` reads the file and turns every complaint from here into a line number and a
sentence. Units are the last word of a name.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, model_validator

from quota.amount import GpuTime
from quota.lab_rules import (
    Day,
    DockerReference,
    Fault,
    GpuTimeField,
    Mib,
    PersonName,
    Real,
    ShortName,
    Text,
    TimeZone,
    Whole,
    complaint,
    default_section_faults,
    name_faults,
    order_faults,
    roster_faults,
    size_faults,
)
from quota.placement import FULL_MGPU


class LabModel(BaseModel):
    """Frozen, and closed against misspelled keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ProgramWeek(LabModel):
    """One week of the program, from the first to the last day, both inside."""

    number: Whole = Field(ge=1, le=520, description="Its number; counted from 1 if left out.")
    topic: Text = Field(default="", description="What it is about; shown to scholars.")
    starts_on: Day = Field(description="Its first day; the day after the week before if left out.")
    ends_on: Day = Field(description="Its last day; six days after the first if left out.")
    hours: GpuTimeField | None = Field(
        default=None, description="GPU-hours for each scholar instead of the section's."
    )

    @model_validator(mode="after")
    def _starts_before_it_ends(self) -> Self:
        if self.ends_on < self.starts_on:
            wrong = f"{self.ends_on} is before the week starts, on {self.starts_on}"
            raise complaint(Fault(("ends_on",), wrong, f"write {self.starts_on} or a later day"))
        return self


class Program(LabModel):
    """The weeks of the program, in order; days between two weeks are a break."""

    starts_on: Day = Field(description="First day of the first week.")
    weeks: tuple[ProgramWeek, ...] = Field(min_length=1, description="The weeks, in order.")

    @model_validator(mode="after")
    def _weeks_in_order(self) -> Self:
        if faults := tuple(order_faults(self.starts_on, self.weeks)):
            raise complaint(*faults)
        return self


class Section(LabModel):
    """A class group: its time zone, who is in it, who supports it, what a week gives."""

    name: ShortName
    title: Text = Field(default="", description="Its name as people read it.")
    time_zone: TimeZone = Field(description="IANA time zone in which its weeks start and end.")
    tas: tuple[PersonName, ...] = Field(default=(), description="TAs who support it.")
    scholars: tuple[PersonName, ...] = Field(default=(), description="Scholars in it.")
    hours_per_week: GpuTimeField = Field(
        default=GpuTime.ZERO, description="GPU-hours that each scholar gets each week."
    )

    @property
    def zone(self) -> ZoneInfo:
        """Its time zone."""
        return ZoneInfo(self.time_zone)


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
    cpus: Real = Field(default=1.0, gt=0, le=1024, description="CPU cores of a session.")
    ram_mib: Mib = Field(default=2048, ge=128, description="Memory of a session, in MiB.")

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
        return self


class Image(LabModel):
    """What software a session starts with."""

    name: ShortName
    title: Text = Field(default="", description="Its name as people read it.")
    description: Text = Field(default="", description="One sentence for the spawn page.")
    docker: DockerReference = Field(description="Docker image reference.")


class DeclaredGpu(LabModel):
    """GPUs that the lab pretends to have, to run and be shown without one."""

    name: Text = Field(min_length=1, description="What they are called.")
    memory_mib: Mib = Field(ge=1, description="Memory of each, in MiB.")
    count: Whole = Field(default=1, ge=1, le=1024, description="How many of them there are.")


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

    @property
    def memories_mib(self) -> tuple[int, ...]:
        """The memory of every declared GPU."""
        return tuple(gpu.memory_mib for gpu in self.declared for _ in range(gpu.count))

    @model_validator(mode="after")
    def _has_what_it_declares(self) -> Self:
        if self.mode == "declared" and not self.declared:
            right = "add at least one under 'declared', or write mode: auto"
            raise complaint(Fault(("mode",), "no GPUs are declared", right))
        return self


Minutes = Annotated[Whole, Field(ge=1, le=10_080)]


class Policy(LabModel):
    """The lab's numbers; each has a default that works."""

    hold_step_s: Whole = Field(
        default=600, ge=10, le=86_400, description="How much is set aside at a time for a session."
    )
    minimum_start_s: Whole = Field(
        default=600, ge=0, le=86_400, description="What a scholar must be able to pay to start."
    )
    tick_s: Whole = Field(default=15, ge=1, le=300, description="How often the lab looks.")
    grace_s: Whole = Field(
        default=20, ge=1, le=600, description="Time that a session gets to stop by itself."
    )
    warn_before_min: tuple[Minutes, ...] = Field(
        default=(60, 15, 5, 1), max_length=10, description="Warnings before the hours run out."
    )
    spawn_timeout_s: Whole = Field(
        default=600, ge=30, le=7200, description="Time to start; then the GPU is given back."
    )
    waiter_timeout_s: Whole = Field(
        default=120, ge=10, le=3600, description="Silence after which one has left the line."
    )
    offer_s: Whole = Field(
        default=600, ge=30, le=7200, description="How long a GPU is kept for one who is away."
    )
    outage_horizon_s: Whole = Field(
        default=7200, ge=300, le=86_400, description="How long sessions outlive a broken lab."
    )
    max_spawning: Whole = Field(
        default=8, ge=1, le=1000, description="How many sessions may be starting at once."
    )
    sessions_per_scholar: Whole = Field(
        default=1, ge=1, le=100, description="How many sessions one scholar may have at once."
    )


class Lab(LabModel):
    """All of `lab.yaml`."""

    name: Text = Field(default="gpulab", description="The lab's name, shown on its pages.")
    program: Program | None = Field(
        default=None, description="Dates and weeks; without it weeks repeat from Monday."
    )
    sections: dict[str, Section] = Field(min_length=1, description="The class groups.")
    flavors: dict[str, Flavor] = Field(min_length=1, description="The kinds of GPU share.")
    images: dict[str, Image] = Field(min_length=1, description="The software to choose from.")
    gpus: GpuPolicy = Field(default=GpuPolicy(), description="The GPUs.")
    policy: Policy = Field(default=Policy(), description="The lab's numbers.")
    organizers: tuple[PersonName, ...] = Field(default=(), description="Who may set policy.")
    default_section: ShortName | None = Field(
        default=None, description="Section of scholars whom no section lists."
    )

    @cached_property
    def roster(self) -> dict[str, str]:
        """The section's name of every listed scholar."""
        return {who: s.name for s in self.sections.values() for who in s.scholars}

    def section_of(self, scholar: str) -> Section | None:
        """Return the section that lists a scholar, else the default one, else None."""
        name = self.roster.get(scholar, self.default_section)
        return None if name is None else self.sections[name]

    def role_of(self, person: str) -> Literal["organizer", "ta", "scholar"]:
        """Return the most that a person may do here."""
        if person in self.organizers:
            return "organizer"
        if any(person in section.tas for section in self.sections.values()):
            return "ta"
        return "scholar"

    def knows(self, person: str) -> bool:
        """Tell whether the file names a person in any role, or takes everybody in."""
        return (
            self.section_of(person) is not None
            or person in self.organizers
            or any(person in section.tas for section in self.sections.values())
        )

    def unplaceable(self, gpu_memories_mib: tuple[int, ...]) -> tuple[str, ...]:
        """Return the names of the flavors that fit none of these GPUs, even when empty."""
        faults = size_faults(self.flavors.values(), gpu_memories_mib)
        return tuple(str(fault.path[1]) for fault in faults)

    @model_validator(mode="before")
    @classmethod
    def _names_from_keys(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        # A block whose every line is a comment is empty, and means the defaults.
        written = {k: part for k, part in data.items() if part is not None or k not in _OPTIONAL}
        return {key: named(part) if key in NAMED_PARTS else part for key, part in written.items()}

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        rosters = {name: section.scholars for name, section in self.sections.items()}
        faults = [*roster_faults(rosters)]
        faults += default_section_faults(self.default_section, self.sections)
        if self.gpus.mode == "declared":
            faults += size_faults(self.flavors.values(), self.gpus.memories_mib)
        for part in NAMED_PARTS:
            faults += name_faults(part, {key: x.name for key, x in getattr(self, part).items()})
        if faults:
            raise complaint(*faults)
        return self


NAMED_PARTS = ("sections", "flavors", "images")
"""Parts of the lab that are kept by name; the key of each entry is its name."""

_OPTIONAL = ("gpus", "policy", "organizers")


def named(part: object) -> object:
    """Give each entry of a part its key as its name, and as its title if it has none."""
    if not isinstance(part, Mapping):
        return part
    return {
        key: {"title": key, **entry, "name": key} if isinstance(entry, Mapping) else entry
        for key, entry in part.items()
    }
