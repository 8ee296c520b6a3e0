"""Reading `lab.yaml`: all of it or nothing, and every complaint with its line and its remedy."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path as FilePath
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from quota.calendar import DAYS_PER_WEEK, days_later
from quota.lab import NAMED_PARTS, Lab, named
from quota.lab_errors import faults_of
from quota.lab_fields import Fault, Path, read_day, shown
from quota.lab_gpus import Flavor, GpuPolicy
from quota.lab_rules import default_section_faults, name_faults, place_faults, roster_faults
from quota.lab_tree import BrokenYaml, read_tree

# Far more than a lab of ten thousand scholars needs, and still read in about a second.
MOST_BYTES = 1_000_000
_MOST_PROBLEMS_SHOWN = 50
_ANY_DAY = date(2000, 1, 3)

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True, order=True)
class LabProblem:
    """One thing that is wrong in the file; line 0 stands for the file as a whole."""

    file: str
    line: int
    where: str
    wrong: str
    right: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.where, self.wrong) if part) + (
            f"; {self.right}"
        )


class LabFileError(Exception):
    """The file cannot be used; nothing of it is. Its text is one line for each problem."""

    def __init__(self, problems: tuple[LabProblem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        lines = [str(problem) for problem in self.problems[:_MOST_PROBLEMS_SHOWN]]
        if (more := len(self.problems) - len(lines)) > 0:
            lines.append(f"... and {more} more")
        return "\n".join(lines)


def load_lab(path: FilePath) -> Lab:
    """Read a lab from a file.

    Raises:
        LabFileError: with everything that is wrong.

    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        reason = error.strerror or "unknown reason"
        right = "check its name and its permissions"
        raise _whole_file(path.name, f"cannot be read ({reason})", right) from error
    if len(content) > MOST_BYTES:
        raise _whole_file(path.name, "is too large", f"keep it under {MOST_BYTES:,} bytes")
    try:
        return parse_lab(content.decode("utf-8-sig"), path.name)
    except UnicodeDecodeError as error:
        raise _whole_file(path.name, "is not text in UTF-8", "save it as UTF-8") from error


def parse_lab(text: str, filename: str) -> Lab:
    """Read a lab from the text of a file.

    Raises:
        LabFileError: with everything that is wrong.

    """
    if len(text) > MOST_BYTES:
        raise _whole_file(filename, "is too large", f"keep it under {MOST_BYTES:,} bytes")
    try:
        tree = read_tree(text)
    except BrokenYaml as broken:
        problem = LabProblem(filename, broken.line, "", broken.wrong, broken.right)
        raise LabFileError((problem,)) from broken
    if not isinstance(tree.data, dict):
        wrong = "is empty" if tree.data is None else "does not start with 'key: value' lines"
        raise _whole_file(filename, wrong, "start from the lab.yaml that ships with gpulab")
    lab, faults = _validate(_with_week_dates(tree.data))
    at_lines = [*tree.faults, *((tree.line_of(fault.path), fault) for fault in faults)]
    problems = {
        LabProblem(filename, line, _where(tree.written(fault.path)), fault.wrong, fault.right)
        for line, fault in at_lines
    }
    if lab is None or problems:
        raise LabFileError(tuple(sorted(problems)))
    return lab


def _whole_file(filename: str, wrong: str, right: str) -> LabFileError:
    return LabFileError((LabProblem(filename, 0, "", wrong, right),))


def _where(path: Path) -> str:
    """Write a path for people: `program.weeks#3.starts_on` is the third of the weeks."""
    parts = (f"#{part + 1}" if isinstance(part, int) else f".{_plain(part)}" for part in path)
    return "".join(parts).removeprefix(".")


def _plain(key: str) -> str:
    return key if key.isprintable() and shown(key) == repr(key) else shown(key)


def _with_week_dates(data: dict[str, Any]) -> dict[str, Any]:
    """Number the weeks of the program, and give those without dates seven days each."""
    program = data.get("program")
    weeks = program.get("weeks") if isinstance(program, dict) else None
    if not isinstance(program, dict) or not isinstance(weeks, list):
        return data
    # Where a date cannot be read, any will do to go on with: the complaint is made elsewhere.
    day = read_day(program.get("starts_on")) or _ANY_DAY
    filled = []
    for number, week in enumerate(weeks, start=1):
        if isinstance(week, dict):
            starts_on = read_day(week.get("starts_on")) or day
            ends_on = read_day(week.get("ends_on")) or _later(starts_on, DAYS_PER_WEEK - 1)
            dates = {"starts_on": starts_on, "ends_on": ends_on}
            filled.append({"number": number, **dates, **week})
            day = _later(ends_on, 1)
        else:
            filled.append(week)
    return {**data, "program": {**program, "weeks": filled}}


def _later(day: date, days: int) -> date:
    try:
        return days_later(day, days)
    except ValueError:
        return day


def _validate(data: dict[str, Any]) -> tuple[Lab | None, list[Fault]]:
    """Return the lab, or everything that keeps it from being one."""
    faults = list(_other_names(data))
    try:
        return Lab.model_validate(data), faults
    except ValidationError as refusal:
        errors = refusal.errors(include_url=False)
    faults += [fault for error in errors for fault in faults_of(error)]
    if all(error["loc"] for error in errors):
        # Some part is wrong by itself, so the rules between the parts did not run yet.
        faults += _faults_between(data)
    return None, faults


def _other_names(data: dict[str, Any]) -> Iterator[Fault]:
    """Find entries that call themselves something else than their key."""
    for part in NAMED_PARTS:
        entries = _mapping(data.get(part)).items()
        names = {key: _mapping(entry).get("name", key) for key, entry in entries}
        yield from name_faults(part, names)


def _faults_between(data: dict[str, Any]) -> Iterator[Fault]:
    """Apply the rules between the parts to what can be understood of them."""
    sections, flavors = (
        _mapping(data.get("sections")),
        _mapping(named("flavors", data.get("flavors"))),
    )
    rosters = {name: _mapping(section).get("scholars") for name, section in sections.items()}
    yield from roster_faults({n: who for n, who in rosters.items() if isinstance(who, list)})
    if sections:
        yield from default_section_faults(data.get("default_section"), sections)
    gpus = _valid(GpuPolicy, data.get("gpus"))
    if gpus is not None and gpus.mode == "declared":
        sized = [_valid(Flavor, flavor) for flavor in flavors.values()]
        yield from place_faults([f for f in sized if f is not None], gpus.declared)


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _valid(model: type[Model], value: object) -> Model | None:
    try:
        return model.model_validate(value)
    except ValidationError:
        return None
