"""A roster as CSV: who is in which section. Read whole or not at all. Pure."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from quota.lab import Lab
from quota.lab_fields import PersonName
from quota.rulebook import entry_body

_COLUMNS = ("name", "section")
_PERSON: TypeAdapter[str] = TypeAdapter(PersonName)

# Ten times the largest program that anybody has planned.
MOST_ROWS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterRow:
    """A scholar and the section, with the line of the file."""

    line: int
    name: str
    section: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterPlan:
    """What an import would change, or what is wrong with it; with faults, nothing is changed."""

    added: tuple[RosterRow, ...] = ()
    moved: tuple[tuple[RosterRow, str], ...] = ()
    removed: tuple[tuple[str, str], ...] = ()
    same: int = 0
    faults: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to do."""
        return not (self.added or self.moved or self.removed)


def read_roster(text: str) -> tuple[list[RosterRow], list[str]]:
    """Read a CSV with the columns name and section; more columns are ignored."""
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")))
    rows: list[RosterRow] = []
    faults: list[str] = []
    places: dict[str, int] = {}
    try:
        for number, cells in enumerate(reader, start=1):
            if number == 1:
                places = {cell.strip().lower(): at for at, cell in enumerate(cells)}
                if missing := [name for name in _COLUMNS if name not in places]:
                    return [], [
                        f"line 1: the column {missing[0]!r} is missing; write name,section"
                    ]
            elif any(cell.strip() for cell in cells):
                _read_row(reader.line_num, cells, places, rows, faults)
            if number > MOST_ROWS + 1:
                return [], [f"there are more than {MOST_ROWS:,} lines; split the file"]
    except csv.Error as error:
        faults.append(f"line {reader.line_num}: this is no CSV ({error})")
    if not places:
        faults.append("the file is empty; the first line is name,section")
    return rows, faults


def plan_import(lab: Lab, rows: Sequence[RosterRow], *, remove_others: bool) -> RosterPlan:
    """Compare a roster with the sections: who is new, who moves, who is left out."""
    faults = []
    seen: dict[str, int] = {}
    for row in rows:
        if row.section not in lab.sections:
            known = ", ".join(sorted(lab.sections))
            faults.append(f"line {row.line}: there is no section {row.section!r}; write {known}")
        if row.name in seen:
            faults.append(f"line {row.line}: {row.name} stands in line {seen[row.name]} already")
        seen.setdefault(row.name, row.line)
    if faults:
        return RosterPlan(faults=tuple(faults))
    added = tuple(row for row in rows if row.name not in lab.roster)
    moved = tuple(
        (row, lab.roster[row.name])
        for row in rows
        if lab.roster.get(row.name, row.section) != row.section
    )
    gone = sorted((who, where) for who, where in lab.roster.items() if who not in seen)
    return RosterPlan(
        added=added,
        moved=moved,
        removed=tuple(gone) if remove_others else (),
        same=len(rows) - len(added) - len(moved),
    )


def changed_sections(
    lab: Lab, plan: RosterPlan
) -> list[tuple[str, str, Mapping[str, Any] | None]]:
    """Return the sections with their new scholars, as amendments.

    What was set for a single scholar goes with the scholar.
    """
    members = {name: dict.fromkeys(section.scholars) for name, section in lab.sections.items()}
    for who, where in plan.removed:
        del members[where][who]
    for row, where in plan.moved:
        del members[where][row.name]
    for row in (*plan.added, *(row for row, _ in plan.moved)):
        members[row.section][row.name] = None
    forgotten = [("scholars", who, None) for who, _ in plan.removed if who in lab.scholars]
    changed = [
        ("sections", name, {**entry_body(lab, "sections", name), "scholars": [*members[name]]})
        for name, section in lab.sections.items()
        if tuple(members[name]) != section.scholars
    ]
    return [*changed, *forgotten]


def _read_row(
    line: int, cells: list[str], places: dict[str, int], rows: list[RosterRow], faults: list[str]
) -> None:
    if len(cells) <= max(places[name] for name in _COLUMNS):
        faults.append(f"line {line}: a cell is missing; write name,section")
        return
    name, section = (cells[places[column]].strip() for column in _COLUMNS)
    try:
        rows.append(RosterRow(line=line, name=_PERSON.validate_python(name), section=section))
    except ValidationError as error:
        what = error.errors()[0]["msg"]
        faults.append(f"line {line}: {what}")
