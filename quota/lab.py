"""The lab's policy as data: what `lab.yaml` says, as frozen types that cannot hold nonsense.

`quota.lab_file` reads the file and turns every complaint from here into a line number and a
sentence. Units are the last word of a name.
"""

from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from quota.amount import GpuTime
from quota.errors import NoSuchThing
from quota.lab_channels import Channel, QuietHours
from quota.lab_fields import GpuTimeField, LabModel, PersonName, ShortName, Text, Whole, complaint
from quota.lab_gpus import DrainedGpu, Flavor, GpuPolicy, Image
from quota.lab_idle import IdleRules
from quota.lab_line import LinePolicy
from quota.lab_people import AttachRules, Scholar, Section, Ta
from quota.lab_program import Blackout, DueDate, Program, RollOver
from quota.lab_reservations import ReservationRules
from quota.lab_rules import (
    SomeGpu,
    default_section_faults,
    name_faults,
    people_faults,
    place_faults,
    roster_faults,
    week_faults,
)

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
    lost_gpu_s: Whole = Field(
        default=300, ge=30, le=7200, description="A GPU gone for so long has lost its sessions."
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
    ta_hours_per_week: GpuTimeField = Field(
        default=GpuTime.ZERO, description="GPU-hours that each TA may give away each week."
    )
    request_lasts_days: Whole = Field(
        default=7, ge=1, le=90, description="How long a request for hours waits for an answer."
    )
    refund_lasts_days: Whole = Field(
        default=14, ge=1, le=90, description="How long refunded GPU-hours can be used."
    )
    attach_most_min: Minutes = Field(
        default=60, description="How long a TA may be attached to a session."
    )


class Lab(LabModel):
    """All of `lab.yaml`."""

    name: Text = Field(default="gpulab", description="The lab's name, shown on its pages.")
    program: Program | None = Field(
        default=None, description="Dates and weeks; without it weeks repeat from Monday."
    )
    sections: dict[str, Section] = Field(min_length=1, description="The class groups.")
    scholars: dict[str, Scholar] = Field(
        default={}, description="What differs for single scholars."
    )
    tas: dict[str, Ta] = Field(default={}, description="What differs for single TAs.")
    due_dates: dict[str, DueDate] = Field(
        default={}, description="What is due when, with extra GPU-hours before it."
    )
    blackouts: dict[str, Blackout] = Field(
        default={}, description="Times in which no session may use a GPU."
    )
    roll_over: RollOver = Field(
        default=RollOver(), description="What becomes of hours that nobody used."
    )
    flavors: dict[str, Flavor] = Field(min_length=1, description="The kinds of GPU share.")
    images: dict[str, Image] = Field(min_length=1, description="The software to choose from.")
    gpus: GpuPolicy = Field(default=GpuPolicy(), description="The GPUs.")
    idle: IdleRules = Field(
        default=IdleRules(), description="When a GPU that nobody uses is given back."
    )
    drained_gpus: dict[str, DrainedGpu] = Field(
        default={}, description="GPUs that take no new sessions, by uuid."
    )
    line: LinePolicy = Field(
        default=LinePolicy(), description="Who is next when there are too few GPUs."
    )
    reservations: ReservationRules = Field(
        default=ReservationRules(), description="What scholars may reserve ahead."
    )
    attach: AttachRules = Field(
        default=AttachRules(), description="How TAs may come into scholars' sessions."
    )
    channels: dict[str, Channel] = Field(
        default={}, description="Where people can be told things outside the lab."
    )
    quiet_hours: QuietHours | None = Field(
        default=None, description="When only what cannot wait is sent."
    )
    policy: Policy = Field(default=Policy(), description="The lab's numbers.")
    organizers: tuple[PersonName, ...] = Field(default=(), description="Who may set policy.")
    default_section: ShortName | None = Field(
        default=None, description="Section of scholars whom no section lists."
    )

    @cached_property
    def roster(self) -> dict[str, str]:
        """The section's name of every listed scholar."""
        return {who: s.name for s in self.sections.values() for who in s.scholars}

    def section_named(self, name: str) -> Section:
        """Return a section by its name.

        Raises:
            NoSuchThing: there is none; the message names those that there are.

        """
        if name not in self.sections:
            known = ", ".join(sorted(self.sections))
            raise NoSuchThing(f"There is no section {name!r}; there is {known}.")
        return self.sections[name]

    def section_of(self, scholar: str) -> Section | None:
        """Return the section that lists a scholar, else the default one, else None."""
        name = self.section_name_of(scholar)
        return None if name is None else self.sections[name]

    def section_name_of(self, scholar: str) -> str | None:
        """Return the name of the section that lists a scholar, else of the default one."""
        return self.roster.get(scholar, self.default_section)

    def sections_of_ta(self, person: str) -> tuple[Section, ...]:
        """Return the sections that a TA supports."""
        return tuple(section for section in self.sections.values() if person in section.tas)

    def role_of(self, person: str) -> Literal["organizer", "ta", "scholar"]:
        """Return the most that a person may do here."""
        if person in self.organizers:
            return "organizer"
        return "ta" if self.sections_of_ta(person) else "scholar"

    def knows(self, person: str) -> bool:
        """Tell whether the file names a person in any role, or takes everybody in."""
        return (
            self.section_of(person) is not None
            or person in self.organizers
            or bool(self.sections_of_ta(person))
        )

    def ta_hours(self, person: str) -> GpuTime:
        """Return what a TA may give away each week."""
        own = self.tas[person].hours_per_week if person in self.tas else None
        return self.policy.ta_hours_per_week if own is None else own

    def sessions_of(self, scholar: str) -> int:
        """Return how many GPU sessions a scholar may have at once."""
        own = self.scholars[scholar].sessions if scholar in self.scholars else None
        return self.policy.sessions_per_scholar if own is None else own

    def has_opted_out(self, scholar: str) -> bool:
        """Tell whether a scholar does not take part in the optional weeks."""
        return scholar in self.scholars and self.scholars[scholar].opted_out

    def unplaceable(self, gpus: Collection[SomeGpu]) -> tuple[str, ...]:
        """Return the names of the flavors that fit none of these GPUs, even when empty."""
        faults = place_faults(self.flavors.values(), gpus)
        return tuple(str(fault.path[1]) for fault in faults)

    @model_validator(mode="before")
    @classmethod
    def _names_from_keys(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        # A block whose every line is a comment is empty, and means the defaults.
        written = {k: part for k, part in data.items() if part is not None or k not in _OPTIONAL}
        return {key: named(key, part) for key, part in written.items()}

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        rosters = {name: section.scholars for name, section in self.sections.items()}
        faults = [*roster_faults(rosters)]
        faults += default_section_faults(self.default_section, self.sections)
        faults += people_faults(self)
        faults += week_faults(self)
        if self.gpus.mode == "declared":
            faults += place_faults(self.flavors.values(), self.gpus.declared)
        for part in NAMED_PARTS:
            faults += name_faults(part, {key: x.name for key, x in getattr(self, part).items()})
        if faults:
            raise complaint(*faults)
        return self


NAMED_PARTS = (
    "sections", "scholars", "tas", "due_dates", "blackouts", "flavors", "images", "drained_gpus",
    "channels",
)  # fmt: skip
"""Parts of the lab that are kept by name; the key of each entry is its name."""

_TITLED_PARTS = ("sections", "due_dates", "blackouts", "flavors", "images", "channels")
_OPTIONAL = (
    "gpus", "idle", "policy", "organizers", "scholars", "tas", "due_dates", "blackouts",
    "roll_over", "drained_gpus", "line", "reservations", "attach", "channels", "quiet_hours",
)  # fmt: skip


def named(part: str, entries: object) -> object:
    """Give each entry of a named part its key as its name, and as its title if it has none."""
    if part not in NAMED_PARTS or not isinstance(entries, Mapping):
        return entries
    return {
        key: {**({"title": key} if part in _TITLED_PARTS else {}), **entry, "name": key}
        if isinstance(entry, Mapping)
        else entry
        for key, entry in entries.items()
    }
