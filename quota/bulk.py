"""Grants for many scholars at once: read, tried with a diff, then confirmed. Pure.

The trial returns a fingerprint of exactly what was tried. The confirmation carries it, so that
what is written is what somebody has seen.
"""

import csv
import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid5

from quota.amount import GpuTime
from quota.lab import Lab
from quota.plain_text import fault_of_text, is_person

MOST_ROWS = 100_000
_COLUMNS = ("account", "hours", "reason")


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRow:
    """One grant of many; `line` is its place in the file or list, from 1."""

    line: int
    account: str
    hours: str
    reason: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedGrant:
    """A row that can be granted, under its own id."""

    id: UUID
    row: GrantRow
    amount: GpuTime


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFault:
    """A row that cannot be granted, and why."""

    line: int
    account: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkPlan:
    """What a bulk grant would do. With faults nothing is done at all."""

    id: UUID
    grants: tuple[PlannedGrant, ...]
    faults: tuple[RowFault, ...]
    fingerprint: str

    @property
    def total(self) -> GpuTime:
        """The sum of all grants."""
        return GpuTime.total(one.amount for one in self.grants)


def plan_grants(bulk_id: UUID, rows: Sequence[GrantRow], lab: Lab, now: datetime) -> BulkPlan:
    """Check every row; the fingerprint covers the id and all rows."""
    grants, faults = [], []
    seen: dict[str, int] = {}
    for row in rows:
        what = _fault_of(row, seen, lab, now)
        seen.setdefault(row.account, row.line)
        if what is not None:
            faults.append(RowFault(line=row.line, account=row.account[:100], what=what))
            continue
        grants.append(PlannedGrant(id=bulk_grant_id(bulk_id, row.account), row=row,
                                   amount=GpuTime.parse(row.hours)))  # fmt: skip
    return BulkPlan(id=bulk_id, grants=tuple(grants), faults=tuple(faults),
                    fingerprint=_fingerprint(bulk_id, rows))  # fmt: skip


def bulk_grant_id(bulk_id: UUID, account: str) -> UUID:
    """Return the id of one person's grant, the same however often the bulk is sent."""
    return uuid5(bulk_id, account)


def read_csv(text: str, *, until: datetime | None = None) -> tuple[list[GrantRow], list[RowFault]]:
    """Read a CSV with the columns account, hours and reason."""
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    try:
        missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            wrong = f"the column {missing[0]!r} is missing; the first line is account,hours,reason"
            return [], [RowFault(line=1, account="", what=wrong)]
        rows = [
            GrantRow(line=reader.line_num, until=until,
                     **{name: (cells[name] or "").strip() for name in _COLUMNS})
            for cells in reader
        ]  # fmt: skip
    except csv.Error as error:
        fault = RowFault(line=reader.line_num, account="", what=f"this is no CSV ({error})")
        return [], [fault]
    if len(rows) > MOST_ROWS:
        wrong = f"there are more than {MOST_ROWS:,} rows; split the file"
        return [], [RowFault(line=MOST_ROWS + 2, account="", what=wrong)]
    return rows, []


def _fault_of(row: GrantRow, seen: dict[str, int], lab: Lab, now: datetime) -> str | None:
    if what := _fault_of_text(row):
        return what
    if not lab.knows(row.account):
        return "the lab knows nobody of this name"
    if row.account in seen:
        return f"the account stands in line {seen[row.account]} already"
    if row.until is not None and row.until <= now:
        return "the end of a grant has to be in the future"
    return _fault_of_hours(row.hours)


def _fault_of_text(row: GrantRow) -> str | None:
    if not is_person(row.account):
        return "this is no user name"
    if not row.reason.strip():
        return "a grant needs a reason; the scholar will see it"
    what = fault_of_text(row.reason)
    return None if what is None else f"the reason {what}"


def _fault_of_hours(hours: str) -> str | None:
    try:
        amount = GpuTime.parse(hours)
    except ValueError as error:
        return str(error)
    return None if amount > GpuTime.ZERO else "a grant has to be more than 0 GPU-hours"


def _fingerprint(bulk_id: UUID, rows: Iterable[GrantRow]) -> str:
    digest = hashlib.sha256(bulk_id.bytes)
    for row in rows:
        for text in (row.account, row.hours, row.reason, str(row.until)):
            encoded = text.encode(errors="surrogatepass")
            digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()[:32]
