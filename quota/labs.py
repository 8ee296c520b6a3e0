"""Labs that scholars pass: the check at the end of a week's notebook says so. Pure.

One fact for each scholar and lab, the first time counts. It is no grade and gives no right, so
what a session says is believed: a scholar can only fool themselves.
"""

from dataclasses import dataclass
from datetime import datetime

from quota.errors import NoSuchThing
from quota.lab_program import Program

# What the images bring; a lab without a program has these.
_LABS_IN_IMAGES = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedLab:
    """A lab that somebody has passed, and when for the first time."""

    name: str
    passed_at: datetime


def lab_names(program: Program | None) -> tuple[str, ...]:
    """Name the labs that can be passed: one for each week of the program, in order."""
    if program is None:
        numbers = tuple(range(1, _LABS_IN_IMAGES + 1))
    else:
        numbers = tuple(week.number for week in program.weeks)
    return tuple(f"week-{number}" for number in numbers)


def check_lab(name: str, program: Program | None) -> None:
    """See that there is such a lab.

    Raises:
        NoSuchThing: there is none.

    """
    names = lab_names(program)
    if name not in names:
        raise NoSuchThing(f"There is no such lab; the labs are {names[0]} to {names[-1]}.")
