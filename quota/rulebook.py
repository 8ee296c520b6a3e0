"""The rules in force: what lab.yaml says, and above it what was changed while the lab runs. Pure.

An amendment replaces one entry of a part that is kept by name (a section, a due date, what differs
for one scholar). One that no longer fits the file is left out and named, so that a change of
lab.yaml can never stop the lab. See docs/decisions/0008-amended-rules.md.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from quota.errors import BadRule, NoSuchThing
from quota.lab import Lab
from quota.lab_errors import faults_of
from quota.lab_fields import LabModel

EDITABLE = ("sections", "scholars", "tas", "due_dates", "blackouts", "drained_gpus")
"""Parts of lab.yaml whose entries organizers can change while the lab runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amendment:
    """One entry as somebody wrote it, in the notation of lab.yaml; None takes it away."""

    part: str
    name: str
    body: Mapping[str, Any] | None
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The lab in force, which amendments made it so, and which could not be used."""

    lab: Lab
    amendments: tuple[Amendment, ...] = ()
    left_out: tuple[str, ...] = ()


def rules_of(file: Lab, amendments: Sequence[Amendment]) -> Rules:
    """Put the file and its amendments together."""
    try:
        # Nearly always all of them fit, and one check of a large lab is much faster than many.
        return Rules(lab=amended(file, amendments), amendments=tuple(amendments))
    except BadRule:
        return _fitting(file, amendments)


def _fitting(file: Lab, amendments: Sequence[Amendment]) -> Rules:
    """Leave out as few amendments as it takes; each of the others may need one that comes later.

    First those go that the faults name, else the newest; then each is tried again.
    """
    used, dropped = list(amendments), list[Amendment]()
    while True:
        try:
            lab = amended(file, used)
        except BadRule as refusal:
            named = [one for one in used if (one.part, one.name) in refusal.entries]
            gone = named or used[-1:]
            used = [one for one in used if one not in gone]
            dropped += gone
        else:
            return _with_what_fits(lab, used, dropped)


def _with_what_fits(lab: Lab, used: list[Amendment], dropped: list[Amendment]) -> Rules:
    left_out: dict[int, str] = {}
    for place, one in enumerate(dropped):
        try:
            lab = amended(lab, [one])
        except BadRule as refusal:
            left_out[place] = f"{one.part} {one.name}: {refusal.message}"
    again = [one for place, one in enumerate(dropped) if place not in left_out]
    return Rules(lab=lab, amendments=(*used, *again), left_out=tuple(left_out.values()))


def amended(lab: Lab, changes: Sequence[Amendment]) -> Lab:
    """Return the lab with some entries replaced, all at once.

    Raises:
        BadRule: the lab would not fit together; the message says where and what would be right.

    """
    if not changes:
        return lab
    parts: dict[str, Any] = {name: getattr(lab, name) for name in Lab.model_fields}
    for one in changes:
        if one.body is not None and one.body.get("name", one.name) != one.name:
            raise BadRule(f"{one.part}.{one.name}: it calls itself otherwise; remove the name",
                          entries=frozenset({(one.part, one.name)}))  # fmt: skip
        entries = dict(parts[one.part])
        if one.body is None:
            entries.pop(one.name, None)
        else:
            entries[one.name] = dict(one.body)
        parts[one.part] = entries
    try:
        return Lab.model_validate(parts)
    except ValidationError as refusal:
        faults = [fault for error in refusal.errors() for fault in faults_of(error)]
        sentences = [
            f"{'.'.join(str(part) for part in fault.path)}: {fault.wrong}; {fault.right}"
            for fault in faults[:5]
        ]
        raise BadRule(
            " | ".join(sentences) or "the rule does not fit the lab",
            entries=frozenset(fault.path[:2] for fault in faults),
        ) from refusal


def entry_body(lab: Lab, part: str, name: str) -> dict[str, Any]:
    """Return an entry in the notation of lab.yaml, without what has its default.

    Raises:
        NoSuchThing: the lab has no such entry.

    """
    entries: Mapping[str, LabModel] = getattr(lab, part) if part in EDITABLE else {}
    if name not in entries:
        raise NoSuchThing(f"There is no entry {name!r} in {part}.")
    body: dict[str, Any] = entries[name].model_dump(
        mode="json", exclude={"name"}, exclude_defaults=True
    )
    return body


def entry_tag(lab: Lab, part: str, name: str) -> str:
    """Return a tag that changes with every change of an entry; `absent` when there is none."""
    try:
        body = entry_body(lab, part, name)
    except NoSuchThing:
        return "absent"
    text = json.dumps(body, sort_keys=True)
    return hashlib.sha256(f"{part}/{name}/{text}".encode()).hexdigest()[:16]
