"""What `lab.yaml` may not say: the types of its fields, and the rules between its parts.

Every complaint is a `Fault`: where, what is wrong, and what would be right. Pydantic carries them
out in the context of an error of type `FAULTS`.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from functools import cache
from itertools import pairwise
from typing import Annotated, Protocol
from zoneinfo import available_timezones

from pydantic import BeforeValidator, Field, PlainValidator, Strict
from pydantic_core import PydanticCustomError

from quota.amount import GpuTime
from quota.calendar import days_later

FAULTS = "lab_faults"

Path = tuple[str | int, ...]

_MOST_SHOWN = 60

# A name becomes a URL, a folder, a container and an account: what JupyterHub, Docker and file
# systems all take as it is, in lower case because JupyterHub makes it so.
_PERSON = re.compile(r"(?!.*\.\.)[a-z0-9][a-z0-9._@-]{0,62}")
_SHORT = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_DOCKER = re.compile(r"[a-z0-9][A-Za-z0-9._/:@-]{0,254}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

# Far from the ends of what a calendar can count, so that no sum of days falls off.
_FIRST_DAY, _LAST_DAY = date(2000, 1, 1), date(2199, 12, 31)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong below the place where it was found, and what would be right."""

    path: Path
    wrong: str
    right: str


def complaint(*faults: Fault) -> PydanticCustomError:
    """Wrap faults for pydantic, to be raised in a validator."""
    text = " | ".join(f"{fault.wrong}; {fault.right}" for fault in faults)
    return PydanticCustomError(FAULTS, "{text}", {"text": text, "faults": faults})


def shown(value: object) -> str:
    """Quote what was written, cut to a length that fits a sentence."""
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 3] + "..."


def did_you_mean(wrong: str, known: Collection[str], otherwise: str) -> str:
    """Suggest the known word that is most like a wrong one."""
    by_lower = {word.lower(): word for word in sorted(known)}
    near = get_close_matches(wrong.lower()[:_MOST_SHOWN], by_lower, n=1)
    return f"did you mean '{by_lower[near[0]]}'?" if near else otherwise


def read_day(value: object) -> date | None:
    """Read a date as `lab.yaml` writes it; None when it is none."""
    if not isinstance(value, str) or _DAY.fullmatch(value) is None:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


def _field_fault(wrong: str, right: str) -> PydanticCustomError:
    return complaint(Fault((), wrong, right))


def _written(value: object) -> str:
    """Return text as it is; complain about anything that YAML read as something else."""
    if isinstance(value, str):
        return value
    if value is None:
        raise _field_fault("nothing is written here", "write something, or remove the line")
    if isinstance(value, bool | int | float):
        text = str(value).lower() if isinstance(value, bool) else str(value)
        raise _field_fault(
            f"{text} is read as a value, not as text", f"put it in quotes: '{text}'"
        )
    raise _field_fault("a list or a block is written here", "write one word or sentence")


def _text(value: object) -> str:
    text = " ".join(_written(value).split())
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise _field_fault(f"{shown(text)} holds control characters", "remove them")
    return text


def _following(pattern: re.Pattern[str], what: str, right: str) -> Callable[[object], str]:
    """Make the check of a text that follows a pattern."""

    def check(value: object) -> str:
        text = _written(value)
        if pattern.fullmatch(text) is None:
            raise _field_fault(f"{shown(text)} is not {what}", right)
        return text

    return check


@cache
def _zones() -> frozenset[str]:
    # "localtime" is whatever the machine is set to, so not the same zone everywhere.
    return frozenset(available_timezones() - {"localtime", "Factory"})


def _time_zone(value: object) -> str:
    text = _written(value)
    if text not in _zones():
        cities = sorted(z for z in _zones() if z.lower().rpartition("/")[2] == text.lower())
        right = did_you_mean(text, _zones(), "write one of the IANA list, like 'Europe/Berlin'")
        right = f"did you mean '{cities[0]}'?" if cities else right
        raise _field_fault(f"{shown(text)} is not a time zone", right)
    return text


def _day(value: object) -> date:
    day = value if isinstance(value, date) else read_day(value)
    if day is None:
        right = "write a day of the calendar as year-month-day, like 2026-06-01"
        raise _field_fault(f"{shown(value)} is not a date", right)
    if not _FIRST_DAY <= day <= _LAST_DAY:
        raise _field_fault(
            f"{day} is out of reach", f"write a day from {_FIRST_DAY} to {_LAST_DAY}"
        )
    return day


def _gpu_time(value: object) -> GpuTime:
    if isinstance(value, GpuTime):
        amount = value
    else:
        try:
            # A float was written in decimals; its repr gives those back exactly.
            amount = GpuTime.parse(value if isinstance(value, str) else repr(value))
        except ValueError as error:
            wrong, _, right = str(error).partition("; ")
            raise _field_fault(wrong, right) from error
    if amount < GpuTime.ZERO:
        raise _field_fault(f"{shown(value)} is less than nothing", "write 0 or more")
    return amount


def _real(value: object) -> object:
    if isinstance(value, bool | str):
        raise _field_fault(f"{shown(value)} is not a number", "write one like 2 or 0.5")
    return value


Text = Annotated[str, BeforeValidator(_text), Field(max_length=500)]
Whole = Annotated[int, Strict()]
Mib = Annotated[int, Strict(), Field(le=16_777_216)]  # 16 TiB: more than any GPU or host has
Real = Annotated[float, BeforeValidator(_real)]
Day = Annotated[date, PlainValidator(_day)]
TimeZone = Annotated[str, PlainValidator(_time_zone)]
GpuTimeField = Annotated[GpuTime, PlainValidator(_gpu_time)]
PersonName = Annotated[
    str,
    PlainValidator(
        _following(
            _PERSON,
            "a user name",
            "write lower-case letters, digits and . _ @ - (63 at most, no two dots in a row), "
            "first a letter or digit",
        )
    ),
]
ShortName = Annotated[
    str,
    PlainValidator(
        _following(_SHORT, "a short name", "write lower-case letters, digits and - (63 at most)")
    ),
]
DockerReference = Annotated[
    str,
    PlainValidator(
        _following(_DOCKER, "a Docker image reference", "write one like gpulab/base:latest")
    ),
]


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


def size_faults(flavors: Iterable[_Sized], gpu_memories_mib: Collection[int]) -> Iterator[Fault]:
    """Find flavors that fit none of the GPUs, even when empty."""
    largest_mib = max(gpu_memories_mib, default=-1)
    for flavor in flavors:
        if flavor.is_gpu and flavor.memory_mib > largest_mib:
            wrong = f"{flavor.memory_mib} MiB fit on no GPU; the largest has {largest_mib} MiB"
            right = f"write at most {largest_mib}, or declare a larger GPU"
            yield Fault(("flavors", flavor.name, "memory_mib"), wrong, right)
