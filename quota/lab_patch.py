"""The text of lab.yaml with all that was changed above it, comments kept. Pure.

Only the lines of changed entries are touched. What comes out is read again and has to say exactly
what holds now; where it does not, there is no new text rather than a wrong one.
"""

import re
from collections.abc import Mapping, Sequence
from difflib import unified_diff
from typing import Any

import yaml

from quota.lab import Lab
from quota.lab_file import LabFileError, parse_lab
from quota.rulebook import Amendment, Rules

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NUMBER = re.compile(r"(0|[1-9][0-9]{0,8})(\.[0-9]{1,6})?")
_WIDTH = 98


class _Unpatchable(Exception):
    """The file is written in a way that is not followed here."""


def patch_of(text: str, filename: str, rules: Rules) -> str | None:
    """Return a patch that brings the file to what holds now; None where none can be made."""
    after = patched(text, filename, rules)
    if after is None:
        return None
    lines = unified_diff(text.splitlines(keepends=True), after.splitlines(keepends=True),
                         f"a/{filename}", f"b/{filename}")  # fmt: skip
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
                   for line in lines)  # fmt: skip


def patched(text: str, filename: str, rules: Rules) -> str | None:
    """Return the new text of the file; None where it cannot be made."""
    # First with numbers as people write them; a name may look like one, then everything quoted.
    for is_plain in (True, False):
        try:
            after = text
            for one in rules.amendments:
                after = _with(after, one, is_plain=is_plain)
            if _says(after, filename, rules.lab):
                return after
        except (_Unpatchable, yaml.YAMLError):
            return None
    return None


def parts_text(rules: Rules) -> str:
    """Write the changed entries alone, to be put into the file by hand."""
    lines = [
        "# Entries that were changed while the lab ran. Put each in its place in lab.yaml,",
        "# instead of the entry of the same name; take out those that are named as removed.",
    ]
    parts: dict[str, dict[str, Any]] = {}
    for one in rules.amendments:
        if one.body is None:
            lines.append(f"# removed: {one.part}.{one.name}")
        else:
            parts.setdefault(one.part, {})[one.name] = dict(one.body)
    return "\n".join(lines) + "\n" + (_block(parts, 0, is_plain=False) if parts else "")


def _says(text: str, filename: str, lab: Lab) -> bool:
    try:
        return parse_lab(text, filename) == lab
    except LabFileError:
        return False


def _with(text: str, one: Amendment, *, is_plain: bool) -> str:
    root = yaml.compose(text, Loader=_Loader)
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        raise _Unpatchable
    found = _pair(root, one.part)
    if found is None:
        return text if one.body is None else _appended(text, one, is_plain=is_plain)
    key, part = found
    if not isinstance(part, yaml.MappingNode):
        return text if one.body is None else _begun(text, key, one, is_plain=is_plain)
    entry = _pair(part, one.name)
    if part.flow_style:
        return _in_flow(text, part, entry, one)
    if entry is None:
        return text if one.body is None else _added(text, part, one, is_plain=is_plain)
    return _replaced(text, *entry, one, is_plain=is_plain)


def _appended(text: str, one: Amendment, *, is_plain: bool) -> str:
    """Begin a part at the end of the file."""
    new = _block({one.part: {one.name: _body(one)}}, 0, is_plain=is_plain)
    return f"{text.rstrip()}\n\n{new}"


def _begun(text: str, key: yaml.Node, one: Amendment, *, is_plain: bool) -> str:
    """Fill a part that is there and empty."""
    at = _line_end(text, key.end_mark.index)
    return text[:at] + _block({one.name: _body(one)}, 2, is_plain=is_plain) + text[at:]


def _added(text: str, part: yaml.MappingNode, one: Amendment, *, is_plain: bool) -> str:
    """Add an entry behind the last one of a part."""
    at = _line_end(text, _last(part))
    if not text[:at].endswith("\n"):
        text, at = text[:at] + "\n" + text[at:], at + 1
    indent = part.value[0][0].start_mark.column
    return text[:at] + _block({one.name: _body(one)}, indent, is_plain=is_plain) + text[at:]


def _replaced(
    text: str, key: yaml.Node, value: yaml.Node, one: Amendment, *, is_plain: bool
) -> str:
    """Put another entry in the place of one, or nothing."""
    if one.body is None:
        start = text.rfind("\n", 0, key.start_mark.index) + 1
        return text[:start] + text[_line_end(text, _last(value)) :]
    if isinstance(value, yaml.CollectionNode) and not value.flow_style:
        indent = value.start_mark.column
        new = _block(_body(one), indent, is_plain=is_plain).strip("\n")[indent:]
        return text[: value.start_mark.index] + new + text[_last(value) :]
    return text[: value.start_mark.index] + _flow(one) + text[_last(value) :]


def _in_flow(
    text: str, part: yaml.MappingNode, entry: tuple[yaml.Node, yaml.Node] | None, one: Amendment
) -> str:
    """Change a part that is written in braces."""
    if entry is not None and one.body is not None:
        return text[: entry[1].start_mark.index] + _flow(one) + text[_last(entry[1]) :]
    if entry is None and one.body is not None:
        at = part.end_mark.index - 1
        comma = ", " if part.value else ""
        return f"{text[:at].rstrip()}{comma}{one.name}: {_flow(one)}{text[at:]}"
    if entry is None:
        return text
    rest = [text[key.start_mark.index : _last(value)]
            for key, value in part.value if key is not entry[0]]  # fmt: skip
    return f"{text[: part.start_mark.index]}{{{', '.join(rest)}}}{text[part.end_mark.index :]}"


def _pair(mapping: yaml.MappingNode, name: str) -> tuple[yaml.Node, yaml.Node] | None:
    return next((pair for pair in mapping.value if pair[0].value == name), None)


def _last(node: yaml.Node) -> int:
    """Return where a node's own text ends: a block's mark lies behind the comments after it."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
        return _last(node.value[-1][1])
    if isinstance(node, yaml.SequenceNode) and not node.flow_style and node.value:
        return _last(node.value[-1])
    return int(node.end_mark.index)


def _line_end(text: str, at: int) -> int:
    """Return where the next line begins."""
    found = text.find("\n", at)
    return len(text) if found < 0 else found + 1


def _body(one: Amendment) -> Mapping[str, Any]:
    assert one.body is not None
    return dict(one.body)


def _block(value: Mapping[str, Any], indent: int, *, is_plain: bool) -> str:
    shown = _as_written(value) if is_plain else value
    text = yaml.safe_dump(shown, default_flow_style=None, sort_keys=False, allow_unicode=True,
                          width=_WIDTH)  # fmt: skip
    return "".join(f"{' ' * indent}{line}\n" for line in text.splitlines())


def _flow(one: Amendment) -> str:
    return yaml.safe_dump(_body(one), default_flow_style=True, sort_keys=False,
                          allow_unicode=True, width=10**6).strip()  # fmt: skip


def _as_written(value: Any) -> Any:
    """Take the quotes off numbers that stand behind a key."""
    if isinstance(value, Mapping):
        return {key: _number(one) for key, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_as_written(one) if isinstance(one, Mapping) else one for one in value]
    return value


def _number(value: Any) -> Any:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value) if "." in value else int(value)
    return _as_written(value)
