"""Who is in a lab, as `lab.yaml` says it: sections, and what differs for one scholar or TA."""

from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, Strict, model_validator

from quota.amount import GpuTime
from quota.lab_fields import (
    Fault,
    GpuTimeField,
    LabModel,
    PersonName,
    ShortName,
    Text,
    TimeZone,
    WeeklyHours,
    Whole,
    complaint,
)

WeekNumber = Whole


def _week_key(value: object) -> object:
    """Read the number of a week where it stands as a key, which YAML keeps as text."""
    is_number = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 5
    return int(str(value)) if is_number else value


WeekKey = Annotated[int, BeforeValidator(_week_key), Strict()]


class Pool(LabModel):
    """GPU-hours of a whole section, for scholars whose own are used up."""

    hours_per_week: GpuTimeField = Field(description="GPU-hours of the section each week.")
    most_per_scholar: GpuTimeField = Field(
        default=GpuTime.hours(1_000), description="At most so many for one scholar in a week."
    )


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
    hours_in_weeks: dict[WeekKey, GpuTimeField] = Field(
        default={}, description="GPU-hours in single weeks of the program, by number."
    )
    co_working: tuple[WeeklyHours, ...] = Field(
        default=(), max_length=50, description="Weekly times of working together."
    )
    reserved_gpus: Whole = Field(
        default=0, ge=0, le=1024, description="GPUs kept for it in its co-working hours."
    )
    pool: Pool | None = Field(
        default=None, description="GPU-hours of the section when a scholar's own are used up."
    )
    help_hours_per_week: GpuTimeField = Field(
        default=GpuTime.ZERO, description="GPU-hours for the time in which a TA is attached."
    )

    @property
    def zone(self) -> ZoneInfo:
        """Its time zone."""
        return ZoneInfo(self.time_zone)

    @model_validator(mode="after")
    def _reserves_at_some_time(self) -> Self:
        if self.reserved_gpus and not self.co_working:
            wrong = "GPUs are reserved, but there are no co-working hours"
            raise complaint(Fault(("reserved_gpus",), wrong, "write co_working, or remove it"))
        return self


class Absence(LabModel):
    """A week in which a scholar is away: what it gave moves to later weeks."""

    week: WeekNumber = Field(ge=1, description="The week of the absence, by number.")
    use_in: tuple[WeekNumber, ...] = Field(
        min_length=1, max_length=20, description="The later weeks that share the unused hours."
    )


class Scholar(LabModel):
    """What differs for one scholar from the rest of the section."""

    name: PersonName
    hours_per_week: GpuTimeField | None = Field(
        default=None, description="GPU-hours each week instead of the section's."
    )
    sessions: Whole | None = Field(
        default=None, ge=1, le=100, description="How many sessions at once, instead of policy."
    )
    opted_out: bool = Field(
        default=False, strict=True, description="Does not take part in the optional weeks."
    )
    absences: tuple[Absence, ...] = Field(
        default=(), max_length=50, description="Weeks of absence."
    )


class Ta(LabModel):
    """What differs for one TA."""

    name: PersonName
    hours_per_week: GpuTimeField | None = Field(
        default=None, description="GPU-hours that the TA may give away each week."
    )
    office_hours: tuple[WeeklyHours, ...] = Field(
        default=(), max_length=50, description="Weekly times in which the TA can be asked."
    )
    time_zone: TimeZone | None = Field(
        default=None, description="Zone of the office hours; the first section's if left out."
    )


class AttachRules(LabModel):
    """How TAs may come into scholars' sessions."""

    accept_shared_origin: bool = Field(
        default=False,
        strict=True,
        description="Attach although a scholar's page could then act as the TA who opens it.",
    )
