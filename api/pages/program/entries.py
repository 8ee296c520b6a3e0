"""Entries of the rules as forms: what is in them and what was typed, as lab.yaml has it. Pure.

A field knows where its value stands in the entry. What a form does not show stays as it is.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from api.pages.forms import Typed
from quota.errors import BadRule

Body = dict[str, Any]

_SPAN = re.compile(
    r"(?P<day>[A-Za-z]+)\s+(?P<starts>[0-9:]+)\s*(?:-|\u2013|to)\s*(?P<ends>[0-9:]+)"
)
_ABSENCE = re.compile(r"(?P<week>[0-9]{1,4})\s*:\s*(?P<use_in>[0-9]{1,4}(?:[\s,]+[0-9]{1,4})*)")


class Unreadable(ValueError):
    """What was typed cannot be read; the text says what would be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of an entry: `path` is where its value stands; without rows it is one line."""

    path: tuple[str, ...]
    label: str
    hint: str = ""
    rows: int = 0
    kind: str = "text"
    choices: tuple[tuple[str, str], ...] = ()
    write: Callable[[Any], str] = str
    read: Callable[[str], Any] = str

    @property
    def name(self) -> str:
        """Its name in the form."""
        return "-".join(self.path)

    def text_in(self, body: Mapping[str, Any]) -> str:
        """Return what an entry says here, as people write it; "" where it says nothing."""
        value: Any = body
        for key in self.path:
            if not isinstance(value, Mapping) or key not in value:
                return ""
            value = value[key]
        return self.write(value)


def typed_of(fields: Iterable[Field], body: Mapping[str, Any], tag: str) -> Typed:
    """Fill a form with what an entry says; the tag tells later whether it still does."""
    values = {field.name: field.text_in(body) for field in fields}
    return Typed(values={**values, "tag": tag, "reason": ""})


def body_of(fields: Iterable[Field], typed: Typed, base: Mapping[str, Any]) -> Body:
    """Return the entry as it was typed; what is left empty has its default."""
    body: Body = deepcopy(dict(base))
    for field in fields:
        text = typed[field.name].strip()
        try:
            _put(body, field.path, field.read(text) if text else None)
        except Unreadable as error:
            typed.faults[field.name] = str(error)
    return body


def blame(fields: Iterable[Field], refusal: BadRule, part: str, name: str, typed: Typed) -> None:
    """Put each thing that is wrong with an entry at the field that it is about."""
    fields = list(fields)
    for sentence in refusal.message.split(" | "):
        place, _, what = sentence.partition(": ")
        path = place.removeprefix(f"{part}.{name}.").split(".")
        at = next((one.name for one in fields if one.path == tuple(path[: len(one.path)])), "")
        said = what if at else sentence
        typed.faults[at] = f"{typed.faults[at]} {said}" if at in typed.faults else said


def _put(body: Body, path: tuple[str, ...], value: Any) -> None:
    inner = body
    for key in path[:-1]:
        inner = inner.setdefault(key, {})
    if value is None:
        inner.pop(path[-1], None)
    else:
        inner[path[-1]] = value
    if len(path) > 1 and not inner:
        body.pop(path[0])


# -- how values are written and read -------------------------------------------------------------


def write_words(value: Iterable[str]) -> str:
    """Write names with commas between them."""
    return ", ".join(value)


def read_words(text: str) -> list[str]:
    """Read names with commas, spaces or line ends between them."""
    return [word for word in re.split(r"[\s,;]+", text) if word]


def read_whole(text: str) -> int:
    """Read a whole number."""
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Unreadable("Write a whole number.")
    return int(text)


def write_yes(value: object) -> str:
    """Write yes or nothing."""
    return "yes" if value else ""


def read_yes(text: str) -> bool:
    """Read yes."""
    return text == "yes"


def write_moment(value: str) -> str:
    """Write day and time as the browser's field wants them."""
    return value.replace(" ", "T")


def read_moment(text: str) -> str:
    """Read day and time as the browser's field sends them."""
    return text.replace("T", " ")[:16]


def write_weekly(value: Iterable[Mapping[str, str]]) -> str:
    """Write weekly hours, one a line."""
    return "\n".join(f"{one['day']} {one['starts']}-{one['ends']}" for one in value)


def read_weekly(text: str) -> list[Body]:
    """Read weekly hours, one a line: `saturday 10:00-12:00`."""
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        match = _SPAN.fullmatch(line)
        if match is None:
            raise Unreadable(f"{line[:60]!r} is not read; write a line like: "
                             "saturday 10:00-12:00")  # fmt: skip
        found.append({**match.groupdict(), "day": match["day"].lower()})
    return found


def write_absences(value: Iterable[Mapping[str, Any]]) -> str:
    """Write absences, one a line."""
    return "\n".join(
        f"{one['week']}: {', '.join(str(week) for week in one['use_in'])}" for one in value
    )


def read_absences(text: str) -> list[Body]:
    """Read absences, one a line: the week, and the later weeks that share its hours."""
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        match = _ABSENCE.fullmatch(line)
        if match is None:
            raise Unreadable(f"{line[:60]!r} is not read; write a line like: 2: 3, 4")
        weeks = [int(word) for word in re.split(r"[\s,]+", match["use_in"])]
        found.append({"week": int(match["week"]), "use_in": weeks})
    return found
