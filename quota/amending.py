"""Changing a rule while the lab runs: checked against the whole lab, tagged, on the trail."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from quota.audit import By
from quota.errors import NoSuchThing, StaleEdit
from quota.lab import Lab
from quota.rulebook import EDITABLE, Amendment, Rules, amended, entry_body, entry_tag, rules_of
from quota.store import office
from quota.store.trail import lock_trail, write_audit


def read_rules(tx: Connection, file: Lab, hub_id: str) -> Rules:
    """Read the rules in force."""
    return rules_of(file, read_amendments(tx, hub_id))


def read_amendments(tx: Connection, hub_id: str) -> list[Amendment]:
    """Read what was changed above lab.yaml, in the order of the changes."""
    return [
        Amendment(part=row["part"], name=row["name"], version=row["version"],
                  body=None if row["body"] is None else json.loads(row["body"]))
        for row in office.all_amendments(tx, hub_id) if row["part"] in EDITABLE
    ]  # fmt: skip


def amend(
    tx: Connection, file: Lab, hub_id: str, change: Amendment, *, tag: str | None, by: By,
    reason: str, at: datetime,
) -> Rules:  # fmt: skip
    """Replace or take away one entry, if it still is as it was when it was read.

    What is as it should be already is left as it is, so that a call can be repeated.

    Raises:
        StaleEdit: somebody else changed it meanwhile.
        BadRule: lab.yaml would refuse it, too.
        NoSuchThing: there is no such part, or nothing to take away.

    """
    part, name, body = change.part, change.name, change.body
    if part not in EDITABLE:
        raise NoSuchThing(f"There is nothing to change in {part}.")
    # One editor at a time: two could each fit the lab and not fit together.
    lock_trail(tx)
    rules = read_rules(tx, file, hub_id)
    before = _body_or_none(rules.lab, part, name)
    if body is None and before is None:
        raise NoSuchThing(f"There is no entry {name!r} in {part}.")
    if tag is not None and tag != entry_tag(rules.lab, part, name):
        if body is None or _body_or_none(amended(rules.lab, [change]), part, name) != before:
            raise StaleEdit("Somebody else changed this meanwhile. Read it again, then change it.")
        return rules
    after = _body_or_none(amended(rules.lab, [change]), part, name)
    if after == before:
        return rules
    body = after
    _write(tx, rules.lab, hub_id, [(part, name, body)], by=by, reason=reason, at=at)
    return read_rules(tx, file, hub_id)


def amend_many(
    tx: Connection, file: Lab, hub_id: str,
    changes: Sequence[tuple[str, str, Mapping[str, Any] | None]], *, by: By, reason: str,
    at: datetime,
) -> Rules:  # fmt: skip
    """Replace several entries at once, all or none.

    Raises:
        BadRule: the lab would not fit together.

    """
    lock_trail(tx)
    rules = read_rules(tx, file, hub_id)
    _write(tx, rules.lab, hub_id, changes, by=by, reason=reason, at=at)
    return read_rules(tx, file, hub_id)


def _write(
    tx: Connection, lab: Lab, hub_id: str,
    changes: Sequence[tuple[str, str, Mapping[str, Any] | None]], *, by: By, reason: str,
    at: datetime,
) -> None:  # fmt: skip
    amended(lab, [Amendment(part=p, name=n, body=body, version=0) for p, n, body in changes])
    version = 0
    for part, name, body in changes:
        before = _body_or_none(lab, part, name)
        version = write_audit(
            tx, by, f"{part}.change", name, hub_id=hub_id, at=at, reason=reason, before=before,
            after=body,
        )  # fmt: skip
    rows = [(p, n, None if body is None else json.dumps(body)) for p, n, body in changes]
    office.write_amendments(tx, hub_id, rows, version)


def _body_or_none(lab: Lab, part: str, name: str) -> dict[str, Any] | None:
    try:
        return entry_body(lab, part, name)
    except NoSuchThing:
        return None
