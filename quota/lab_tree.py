"""YAML as a plain tree that remembers the line of everything in it.

Smaller than YAML on purpose: no aliases (so that no small file can unfold into a huge one), no
tags, no second document, and only the words that mean the same to everybody: `no` and 007 are
names, 10:30 is text, and so is a date until someone asks for a date.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from quota.lab_fields import Fault, Path, shown

_MOST_DEPTH = 20
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(?:[0-9]{1,18}\.[0-9]{0,18}|\.[0-9]{1,18})")
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
_PLAIN_TAGS = (None, "!", "tag:yaml.org,2002:str")

# What YAML itself does not take (https://yaml.org/spec/1.1/#c-printable).
_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]",
)

# libyaml where PyYAML was built with it: ten times faster.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Tree:
    """What a file says, the line of each key and list item, and what is wrong with it as YAML."""

    data: object
    lines: dict[Path, int]
    faults: tuple[tuple[int, Fault], ...] = ()

    def line_of(self, path: Path) -> int:
        """Return the line of the deepest part of a path that is written in the file."""
        return self.lines.get(self.written(path), 1)

    def written(self, path: Path) -> Path:
        """Return the longest beginning of a path that is written in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return path


class BrokenYaml(Exception):
    """The text is no YAML that we read; with the line, what is wrong and what would be right."""

    def __init__(self, line: int, wrong: str, right: str) -> None:
        super().__init__(f"line {line}: {wrong}; {right}")
        self.line, self.wrong, self.right = line, wrong, right


def read_tree(text: str) -> Tree:
    """Read YAML text. A key that comes twice is among the faults; its first value counts.

    Raises:
        BrokenYaml: if the rest of the text cannot be understood.

    """
    if unprintable := _UNPRINTABLE.search(text):
        line = text.count("\n", 0, unprintable.start()) + 1
        raise BrokenYaml(line, f"the character {unprintable[0]!r} cannot stand here", "remove it")
    try:
        return _Reader(yaml.parse(text, Loader=_Loader)).read()
    except yaml.MarkedYAMLError as error:
        raise _broken(error, text) from error


@dataclass(slots=True)
class _Reader:
    """Turns YAML events into a tree."""

    events: Iterator[yaml.Event]
    lines: dict[Path, int] = field(default_factory=dict)
    faults: list[tuple[int, Fault]] = field(default_factory=list)

    def read(self) -> Tree:
        next(self.events)  # the stream starts
        if isinstance(next(self.events), yaml.StreamEndEvent):
            return Tree(None, {})
        data = self.value(next(self.events), ())
        next(self.events)  # the document ends
        if not isinstance(rest := next(self.events), yaml.StreamEndEvent):
            raise BrokenYaml(_line(rest), "a second document starts here", "remove the '---'")
        return Tree(data, self.lines, tuple(self.faults))

    def value(self, event: yaml.Event, path: Path) -> object:
        if len(path) > _MOST_DEPTH:
            raise BrokenYaml(_line(event), "this is nested too deeply", "close some brackets")
        if isinstance(event, yaml.AliasEvent):
            wrong = f"the alias '*{event.anchor}' is not followed here"
            raise BrokenYaml(_line(event), wrong, "write the value out")
        if (tag := getattr(event, "tag", None)) not in _PLAIN_TAGS:
            raise BrokenYaml(_line(event), f"the tag {shown(tag)} is not known", "remove it")
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return self._mapping(path)

    def _sequence(self, path: Path) -> list[object]:
        items: list[object] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            here = (*path, len(items))
            self.lines[here] = _line(event)
            items.append(self.value(event, here))
        return items

    def _mapping(self, path: Path) -> dict[str, object]:
        mapping: dict[str, object] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise BrokenYaml(_line(event), "a key must be a word", "write 'key: value'")
            key, line = event.value, _line(event)
            here = (*path, key)
            if key in mapping:
                wrong = f"{shown(key)} was already written in line {self.lines[here]}"
                self.faults.append((line, Fault(here, wrong, "keep one of the two")))
                # Read past it, without touching the lines of the one that counts.
                _Reader(self.events).value(next(self.events), here)
            else:
                self.lines[here] = line
                mapping[key] = self.value(next(self.events), here)
        return mapping


def _scalar(event: yaml.ScalarEvent) -> object:
    text = str(event.value)
    if not event.implicit[0]:  # quoted, or tagged as text
        return text
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _line(event: yaml.Event) -> int:
    mark = event.start_mark
    return 1 if mark is None else mark.line + 1


def _broken(error: yaml.MarkedYAMLError, text: str) -> BrokenYaml:
    """Say in plain words what the YAML parser stumbled over."""
    mark = error.problem_mark or error.context_mark
    line = 1 if mark is None else mark.line + 1
    written = [*text.splitlines(), ""][line - 1 : line]
    if written and "\t" in written[0][: len(written[0]) - len(written[0].lstrip())]:
        return BrokenYaml(line, "this line is indented with a tab", "indent with spaces")
    right = "check colons, quotes, brackets and indentation here and in the line above"
    return BrokenYaml(line, f"this is not YAML ({error.problem or error.context})", right)
