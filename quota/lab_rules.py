"""The rules between the parts of `lab.yaml`: what fits together and what does not."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

from quota.calendar import days_later
from quota.lab_fields import Fault, Path, did_you_mean, shown
from quota.placement import suits

if TYPE_CHECKING:
    from quota.lab import Lab


class _Planned(Protocol):
    """A week as the rules below need it: `quota.lab.ProgramWeek`."""

    @property
    def number(self) -> int: ...
    @property
    def starts_on(self) -> date: ...
    @property
    def ends_on(self) -> date: ...


def order_faults(starts_on: date, weeks: Sequence[_Planned]) -> Iterator[Fault]:
    """Find weeks that overlap, go back in time or number, or start apart from the program."""
    if weeks[0].starts_on != starts_on:
        wrong = (
            f"week {weeks[0].number} starts on {weeks[0].starts_on}, the program on {starts_on}"
        )
        yield Fault(("weeks", 0, "starts_on"), wrong, "write the same day in both places")
    for index, (before, week) in enumerate(pairwise(weeks), start=1):
        if week.number <= before.number:
            wrong = f"week {week.number} comes after week {before.number}"
            right = f"write {before.number + 1}, or leave the numbers out"
            yield Fault(("weeks", index, "number"), wrong, right)
        if week.starts_on <= before.ends_on:
            wrong = f"it starts on {week.starts_on}, but the week before ends on {before.ends_on}"
            right = f"write {days_later(before.ends_on, 1)} or a later day"
            yield Fault(("weeks", index, "starts_on"), wrong, right)


def roster_faults(rosters: Mapping[str, Sequence[object]]) -> Iterator[Fault]:
    """Find scholars whom the sections list more than once."""
    seen: dict[object, str] = {}
    for section, scholars in rosters.items():
        for index, who in enumerate(scholars):
            if isinstance(who, str) and who in seen:
                wrong = f"scholar {shown(who)} is already in section '{seen[who]}'"
                path = ("sections", section, "scholars", index)
                yield Fault(path, wrong, "list each scholar once")
            elif isinstance(who, str):
                seen[who] = section


def default_section_faults(name: object, sections: Collection[str]) -> Iterator[Fault]:
    """Find a default section that is none."""
    if isinstance(name, str) and name not in sections:
        right = did_you_mean(name, sections, f"write one of {', '.join(sorted(sections))}")
        yield Fault(("default_section",), f"there is no section {shown(name)}", right)


def name_faults(part: str, names: Mapping[str, object]) -> Iterator[Fault]:
    """Find entries that call themselves something else than their key."""
    for key, name in names.items():
        if key != name:
            wrong = f"'{key}' calls itself {shown(name)}"
            yield Fault((part, key, "name"), wrong, "remove the name; the key is the name")


class _Sized(Protocol):
    """A flavor as the rule below needs it: `quota.lab.Flavor`."""

    @property
    def name(self) -> str: ...
    @property
    def is_gpu(self) -> bool: ...
    @property
    def memory_mib(self) -> int: ...
    @property
    def gpu_models(self) -> tuple[str, ...]: ...


class SomeGpu(Protocol):
    """A GPU as the rule below needs it, declared or found."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def memory_mib(self) -> int:
        """Its memory, in MiB."""


def place_faults(flavors: Iterable[_Sized], gpus: Collection[SomeGpu]) -> Iterator[Fault]:
    """Find flavors that nobody can place: they fit none of the GPUs, even when empty."""
    for flavor in flavors:
        if not flavor.is_gpu:
            continue
        suiting = [gpu.memory_mib for gpu in gpus if suits(gpu.name, flavor.gpu_models)]
        if gpus and not suiting:
            there = ", ".join(sorted({shown(gpu.name) for gpu in gpus}))
            wrong = f"no GPU is called {' or '.join(map(shown, flavor.gpu_models))}"
            right = f"write words of a name that is there: {there}"
            yield Fault(("flavors", flavor.name, "gpu_models"), wrong, right)
        elif flavor.memory_mib > (largest_mib := max(suiting, default=-1)):
            of_them = " of its models" if flavor.gpu_models else ""
            wrong = (
                f"{flavor.memory_mib} MiB fit on no GPU{of_them}; the largest has "
                f"{largest_mib} MiB"
            )
            right = f"write at most {largest_mib}, or declare a larger GPU"
            yield Fault(("flavors", flavor.name, "memory_mib"), wrong, right)


def people_faults(lab: "Lab") -> Iterator[Fault]:
    """Find settings for people whom no section lists, and due dates for unknown sections."""
    if lab.default_section is None:
        for who in lab.scholars:
            if who not in lab.roster:
                right = did_you_mean(who, lab.roster, "list the scholar in a section")
                yield Fault(("scholars", who), f"no section lists the scholar {shown(who)}", right)
    known = {who for section in lab.sections.values() for who in section.tas}
    for who in lab.tas:
        if who not in known:
            right = did_you_mean(who, known, "list the TA in a section")
            yield Fault(("tas", who), f"no section lists the TA {shown(who)}", right)
    for name, due in lab.due_dates.items():
        for index, section in enumerate(due.sections):
            if section not in lab.sections:
                known_names = ", ".join(sorted(lab.sections))
                right = did_you_mean(section, lab.sections, f"write one of {known_names}")
                wrong = f"there is no section {shown(section)}"
                yield Fault(("due_dates", name, "sections", index), wrong, right)


def week_faults(lab: "Lab") -> Iterator[Fault]:
    """Find week numbers that the program does not have, and absences that move hours back."""
    numbers = {week.number for week in lab.program.weeks} if lab.program else set()
    right = "write the number of a week of the program"
    if not numbers:
        right = "write a program first; without one, weeks have no numbers"
    for name, section in lab.sections.items():
        for number in section.hours_in_weeks:
            if number not in numbers:
                at = ("sections", name, "hours_in_weeks", str(number))
                yield Fault(at, f"there is no week {number}", right)
    for name, scholar in lab.scholars.items():
        for index, absence in enumerate(scholar.absences):
            path: Path = ("scholars", name, "absences", index)
            for number in (absence.week, *absence.use_in):
                if number not in numbers:
                    yield Fault(path, f"there is no week {number}", right)
            if min(absence.use_in) <= absence.week:
                wrong = f"week {min(absence.use_in)} is not after the absence"
                yield Fault((*path, "use_in"), wrong, f"write weeks after {absence.week}")
