"""The types of what stands in `lab.yaml`: text, numbers, days, times, names.

Every complaint is a `Fault`: where, what is wrong, and what would be right. Pydantic carries them
out in the context of an error of type `FAULTS`.
"""

import re
import unicodedata
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date, datetime, time
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Literal, Self, TypeAlias
from zoneinfo import available_timezones

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    Strict,
    model_validator,
)
from pydantic_core import PydanticCustomError

from quota.amount import GpuTime

FAULTS = "lab_faults"

Path = tuple[str | int, ...]

WEEKDAYS = (
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
)  # fmt: skip
_MINUTES_PER_DAY = 24 * 60

_MOST_SHOWN = 60

# A name becomes a URL, a folder, a container and an account: what JupyterHub, Docker and file
# systems all take as it is, in lower case because JupyterHub makes it so.
_PERSON = re.compile(r"(?!.*\.\.)[a-z0-9][a-z0-9._@-]{0,62}")
_SHORT = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# Of an address no part may be a secret, so nobody signs in with it.
_LAB_NAME = re.compile(rf"{_SHORT.pattern}|https://[\w.-]+(:\d+)?/[\w./~-]+(#[\w./-]+)?", re.ASCII)
_FILE = re.compile(r"[a-z0-9]([a-z0-9_.-]{0,61}[a-z0-9])?")
_DOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9-]+(\.[a-z0-9-]+)+")
_DOCKER = re.compile(r"[a-z0-9][A-Za-z0-9._/:@-]{0,254}")
# As drivers write them, "GPU-" or "MIG-" and a UUID, and as virtual GPUs are called.
_GPU = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(r"([01]?[0-9]|2[0-4]):([0-5][0-9])")

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


def _minute(value: object) -> int:
    """Read a time of day as minutes after midnight; 24:00 is the end of the day."""
    text = _written(value).strip()
    match = _TIME.fullmatch(text)
    minute = int(match[1]) * 60 + int(match[2]) if match else _MINUTES_PER_DAY + 1
    if minute > _MINUTES_PER_DAY:
        raise _field_fault(f"{shown(text)} is not a time of day", "write one like 18:30")
    return minute


def _moment(value: object) -> datetime:
    """Read a day and a time, without a zone: which zone it means, the rule around it says."""
    if isinstance(value, datetime) and value.tzinfo is None:
        return value
    day, _, rest = _written(value).strip().partition(" ")
    read, match = read_day(day), _TIME.fullmatch(rest.strip())
    if read is None or match is None or match[1] == "24":
        right = "write day and time, like 2026-06-01 23:59"
        raise _field_fault(f"{shown(value)} is not a day with a time", right)
    return datetime.combine(_day(read), time(int(match[1]), int(match[2])))


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
Day = Annotated[date, PlainValidator(_day), PlainSerializer(lambda day: day.isoformat())]
Minute = Annotated[
    int,
    PlainValidator(_minute),
    PlainSerializer(lambda minute: f"{minute // 60:02d}:{minute % 60:02d}"),
]
Moment = Annotated[
    datetime, PlainValidator(_moment), PlainSerializer(lambda at: f"{at:%Y-%m-%d %H:%M}")
]
TimeZone = Annotated[str, PlainValidator(_time_zone)]
GpuTimeField = Annotated[
    GpuTime, PlainValidator(_gpu_time), PlainSerializer(lambda amount: amount.text())
]
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
LabName = Annotated[
    str,
    PlainValidator(
        _following(
            _LAB_NAME, "the name of a lab",
            "write one like week-4, or https://git.example.org/labs.git#week-4.ipynb",
        )
    ),
]  # fmt: skip
GpuUuid = Annotated[
    str,
    PlainValidator(_following(_GPU, "the uuid of a GPU", "write it as `gpulab drain` lists it")),
]
DockerReference = Annotated[
    str,
    PlainValidator(
        _following(_DOCKER, "a Docker image reference", "write one like gpulab/base:latest")
    ),
]
FileName = Annotated[
    str,
    PlainValidator(
        _following(
            _FILE, "the name of a file", "write lower-case letters, digits and _ . -, no folder"
        )
    ),
]
MailDomain = Annotated[
    str, PlainValidator(_following(_DOMAIN, "a mail domain", "write one like example.org"))
]


class LabModel(BaseModel):
    """Frozen, and closed against misspelled keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Weekday: TypeAlias = Literal[
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"
]


class WeeklyHours(LabModel):
    """A time of the week that comes every week, by the clocks of a zone."""

    day: Weekday = Field(description="The day of the week.")
    starts: Minute = Field(description="When it begins, like 18:30.")
    ends: Minute = Field(description="When it is over, like 20:00; 24:00 is midnight.")

    @model_validator(mode="after")
    def _has_a_length(self) -> Self:
        if self.ends <= self.starts:
            right = "write a later time; after midnight, write a second line for the next day"
            raise complaint(Fault(("ends",), "it ends before it has begun", right))
        return self
