"""Who takes part, in words: the same for the terminal, CSV and the pages."""

from collections.abc import Mapping

from quota.lab_program import Program
from quota.participation import FinalProject, Participation, WeekMark, WeekState

STATE_TEXTS: Mapping[WeekState, str] = {
    "active": "active", "absent": "absent", "away": "away", "opted_out": "opted out",
    "to_come": "",
}  # fmt: skip
PROJECT_TEXTS: Mapping[FinalProject, str] = {
    "taken": "taken", "not_taken": "not taken", "opted_out": "opted out", "to_come": "",
    "none": "-",
}  # fmt: skip


def participation_heads(program: Program) -> list[str]:
    """Return the columns of the table."""
    weeks = [f"week {one.number}" for one in program.weeks]
    return ["section", "scholar", *weeks, "active", "absent", "labs passed", "final project"]


def participation_row(one: Participation) -> list[str]:
    """Return the row of a scholar."""
    return [
        one.section, one.name, *(_mark(mark) for mark in one.weeks), str(one.active),
        str(one.missed), " ".join(one.labs_passed), PROJECT_TEXTS[one.final_project],
    ]  # fmt: skip


def _mark(mark: WeekMark) -> str:
    if mark.state != "active":
        return STATE_TEXTS[mark.state]
    return f"active, {mark.used.hours_text()} h"
