"""The dates of a program as `lab.yaml` says them: weeks, due dates, blackouts, what rolls over.

Dates and times here are by the clocks of a zone: a section's, unless a zone stands beside them.
`quota.agenda` and `quota.calendar` turn them into instants.
"""

from datetime import date
from functools import cached_property
from typing import Self

from pydantic import Field, model_validator

from quota.amount import GpuTime
from quota.calendar import Span
from quota.lab_fields import (
    Day,
    Fault,
    GpuTimeField,
    LabModel,
    LabName,
    Moment,
    ShortName,
    Text,
    TimeZone,
    Whole,
    complaint,
)
from quota.lab_rules import order_faults


class ProgramWeek(LabModel):
    """One week of the program, from the first to the last day, both inside."""

    number: Whole = Field(ge=1, le=520, description="Its number; counted from 1 if left out.")
    topic: Text = Field(default="", description="What it is about; shown to scholars.")
    part: Text = Field(default="", description="The part of the program that it belongs to.")
    lab: LabName = Field(
        default="",
        description="Its lab: one that the images bring, or the address of a git repository.",
    )
    optional: bool = Field(
        default=False, strict=True, description="Scholars may opt out of it; they get no hours."
    )
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
    ends_on: Day | None = Field(
        default=None, description="Last day of the last week, to check the weeks against."
    )
    weeks: tuple[ProgramWeek, ...] = Field(min_length=1, description="The weeks, in order.")

    @cached_property
    def spans(self) -> tuple[Span, ...]:
        """The weeks as plain dates."""
        return tuple((one.number, one.topic, one.starts_on, one.ends_on) for one in self.weeks)

    def week(self, number: int) -> ProgramWeek | None:
        """Return the week of a number."""
        return next((week for week in self.weeks if week.number == number), None)

    def week_on(self, day: date) -> ProgramWeek | None:
        """Return the week that a local day lies in."""
        return next((week for week in self.weeks if week.starts_on <= day <= week.ends_on), None)

    @model_validator(mode="after")
    def _weeks_in_order(self) -> Self:
        if faults := tuple(order_faults(self.starts_on, self.weeks)):
            raise complaint(*faults)
        last_on = self.weeks[-1].ends_on
        if self.ends_on is not None and self.ends_on != last_on:
            wrong = f"the program ends on {self.ends_on}, its last week on {last_on}"
            raise complaint(Fault(("ends_on",), wrong, "write the same day in both places"))
        return self


class DueDate(LabModel):
    """Something that is due, and the extra GPU-hours that come with it for a while."""

    name: ShortName
    title: Text = Field(default="", description="What is due, as people read it.")
    due: Moment = Field(description="Day and time in each section's time zone.")
    hours: GpuTimeField = Field(
        default=GpuTime.ZERO, description="Extra GPU-hours for each scholar until it is due."
    )
    hours_from: Day | None = Field(
        default=None, description="First day of the extra hours; two days before it is due."
    )
    sections: tuple[ShortName, ...] = Field(
        default=(), description="The sections that it is for; all if left out."
    )

    @model_validator(mode="after")
    def _hours_come_before_the_end(self) -> Self:
        if self.hours_from is not None and self.hours_from > self.due.date():
            wrong = f"the hours come from {self.hours_from}, but it is due on {self.due.date()}"
            raise complaint(Fault(("hours_from",), wrong, f"write {self.due.date()} or earlier"))
        return self


class Blackout(LabModel):
    """A time in which no session may use a GPU: maintenance, an exam, a moving day."""

    name: ShortName
    title: Text = Field(default="", description="Why, as people read it.")
    starts: Moment = Field(description="Day and time at which the GPUs are closed.")
    ends: Moment = Field(description="Day and time at which they are open again.")
    time_zone: TimeZone = Field(default="UTC", description="The time zone of both.")

    @model_validator(mode="after")
    def _has_a_length(self) -> Self:
        if self.ends <= self.starts:
            wrong = f"it ends at {self.ends:%Y-%m-%d %H:%M}, before it has begun"
            raise complaint(Fault(("ends",), wrong, "write a later time"))
        return self


class RollOver(LabModel):
    """What becomes of the hours of a week that nobody used: by default they lapse."""

    percent: Whole = Field(
        default=0, ge=0, le=100, description="How much of the unused hours is kept, in percent."
    )
    most_hours: GpuTimeField = Field(
        default=GpuTime.hours(1_000), description="At most so many GPU-hours from each week."
    )
    lasts_weeks: Whole = Field(
        default=1, ge=1, le=52, description="How many weeks the kept hours can be used."
    )
