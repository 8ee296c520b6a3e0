"""Which parts of the rules organizers edit on the pages, and with which fields. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from api.pages.program import entries as kit
from api.pages.program.entries import Field
from quota.lab import Lab

_HOURS = "Hours, like 10 or 7.5."


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of entry: the part of the rules, its form, and the page that it belongs to.

    `is_known` tells which names an entry may be made for; others are not found.
    """

    part: str
    title: str
    page: str
    fields: Callable[[Lab], tuple[Field, ...]]
    is_known: Callable[[Lab, str], bool]
    can_add: bool = False
    can_remove: bool = False


def _hours(lab: Lab) -> tuple[Field, ...]:
    weeks = lab.program.weeks if lab.program else ()
    return (
        Field(path=("hours_per_week",), label="GPU-hours each week",
              hint=f"For each scholar. {_HOURS}"),
        *(
            Field(path=("hours_in_weeks", str(week.number)),
                  label=f"In week {week.number}{': ' + week.topic if week.topic else ''}",
                  hint="Empty: as every week." if week.hours is None else
                  f"Empty: {week.hours.text()}, as the program says.")
            for week in weeks
        ),
        Field(path=("pool", "hours_per_week"), label="Pool of the section",
              hint="GPU-hours each week for scholars whose own are used up. Empty: no pool."),
        Field(path=("pool", "most_per_scholar"), label="Most of the pool for one scholar",
              hint="GPU-hours in a week."),
        Field(path=("help_hours_per_week",), label="Help budget",
              hint="GPU-hours each week that pay while a TA is attached."),
    )  # fmt: skip


def _section(_lab: Lab) -> tuple[Field, ...]:
    return (
        Field(path=("title",), label="Name"),
        Field(path=("time_zone",), label="Time zone", hint="Like Europe/Berlin."),
        Field(path=("tas",), label="TAs", hint="User names with commas between them.", rows=2,
              write=kit.write_words, read=kit.read_words),
        Field(path=("co_working",), label="Co-working hours", rows=4,
              hint="One a line, on the section's clocks: saturday 10:00-12:00",
              write=kit.write_weekly, read=kit.read_weekly),
        Field(path=("reserved_gpus",), label="GPUs kept for it in these hours",
              hint="A whole number; empty: none.", read=kit.read_whole),
    )  # fmt: skip


def _scholar(_lab: Lab) -> tuple[Field, ...]:
    return (
        Field(path=("hours_per_week",), label="GPU-hours each week",
              hint="Instead of the section's. Empty: as the section."),
        Field(path=("sessions",), label="Sessions at once",
              hint="A whole number. Empty: as everybody.", read=kit.read_whole),
        Field(path=("absences",), label="Weeks away", rows=3,
              hint="One a line, and the later weeks that share its unused hours: 2: 3, 4",
              write=kit.write_absences, read=kit.read_absences),
        Field(path=("opted_out",), label="Optional weeks", write=kit.write_yes,
              read=kit.read_yes, choices=(("", "Takes part"), ("yes", "Has opted out"))),
    )  # fmt: skip


def _ta(_lab: Lab) -> tuple[Field, ...]:
    return (
        Field(path=("hours_per_week",), label="GPU-hours to give away each week",
              hint="Empty: as every TA."),
        Field(path=("office_hours",), label="Office hours", rows=4,
              hint="One a line: tuesday 18:00-19:00",
              write=kit.write_weekly, read=kit.read_weekly),
        Field(path=("time_zone",), label="Time zone of the office hours",
              hint="Empty: the first section's."),
    )  # fmt: skip


def _due(_lab: Lab) -> tuple[Field, ...]:
    return (
        Field(path=("title",), label="What is due"),
        Field(path=("due",), label="When", kind="datetime-local",
              hint="In each section's time zone.", write=kit.write_moment, read=kit.read_moment),
        Field(path=("hours",), label="Extra GPU-hours",
              hint="For each scholar, until it is due. Empty: none."),
        Field(path=("hours_from",), label="First day of the extra hours", kind="date",
              hint="Empty: two days before."),
        Field(path=("sections",), label="Sections",
              hint="Short names with commas between them. Empty: all.",
              write=kit.write_words, read=kit.read_words),
    )  # fmt: skip


def _blackout(_lab: Lab) -> tuple[Field, ...]:
    return (
        Field(path=("title",), label="Why the GPUs are closed"),
        Field(path=("starts",), label="From", kind="datetime-local", write=kit.write_moment,
              read=kit.read_moment),
        Field(path=("ends",), label="Until", kind="datetime-local", write=kit.write_moment,
              read=kit.read_moment),
        Field(path=("time_zone",), label="Time zone of both",
              hint="Like Europe/Berlin. Empty: UTC."),
    )  # fmt: skip


def _section_is_there(lab: Lab, name: str) -> bool:
    return name in lab.sections


def _anything(_lab: Lab, _name: str) -> bool:
    return True


KINDS: dict[str, Kind] = {
    "hours": Kind(part="sections", title="Hours of", page="program/hours", fields=_hours,
                  is_known=_section_is_there),
    "sections": Kind(part="sections", title="Section", page="program/sections",
                     fields=_section, is_known=_section_is_there),
    "scholars": Kind(part="scholars", title="What differs for", page="program/people",
                     fields=_scholar, can_remove=True,
                     is_known=lambda lab, name: lab.section_of(name) is not None),
    "tas": Kind(part="tas", title="What differs for the TA", page="program/sections",
                fields=_ta, can_remove=True,
                is_known=lambda lab, name: bool(lab.sections_of_ta(name))),
    "due-dates": Kind(part="due_dates", title="Due date", page="program/calendar", fields=_due,
                      is_known=_anything, can_add=True, can_remove=True),
    "blackouts": Kind(part="blackouts", title="Blackout", page="program/calendar",
                      fields=_blackout, is_known=_anything, can_add=True, can_remove=True),
}  # fmt: skip


def shown_changes(
    fields: tuple[Field, ...], before: dict[str, Any], after: dict[str, Any] | None
) -> list[tuple[str, str, str]]:
    """List label, old and new text of each field that changes; None takes the entry away."""
    pairs = [(one.label, one.text_in(before), one.text_in(after or {})) for one in fields]
    return [pair for pair in pairs if pair[1] != pair[2]]
