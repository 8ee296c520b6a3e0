"""What really ran, by a program of its own, against what the books charged."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, select

from lab.trial.waiting import wait_for
from quota.clock import to_ms
from quota.invariants import check_books, describe
from quota.store.engine import reading
from quota.store.tables import entries, leases

# The engine's events are written when it has handled a start or a death, its record of both a
# moment before; on a busy machine these are up to some hundred milliseconds apart.
SAME_WITHIN_MS = 1_500


@dataclass(frozen=True, slots=True)
class Ran:
    """One session as it really was; milliseconds since 1970."""

    lease_id: UUID
    started_ms: int
    gone_ms: int | None


@dataclass(frozen=True, slots=True)
class Record:
    """The file that the recorder writes."""

    path: Path

    def read(self) -> dict[UUID, Ran]:
        lines = [json.loads(line) for line in self.path.read_text().splitlines()]
        # What was started by hand carries no lease.
        found = [Ran(UUID(one["lease_id"]), one["started_ms"], one["gone_ms"])
                 for one in lines if one["lease_id"]]  # fmt: skip
        by_lease = {one.lease_id: one for one in found}
        assert len(by_lease) == len(found), "two sessions ran on one lease"
        return by_lease


@contextmanager
def recorder(kind: str, where: str, out: Path) -> Iterator[Record]:
    """Run the recorder beside the block; read its file after the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.crash.recorder", kind, where, str(out)]
    )
    try:
        wait_for("a recorder", out.exists, within_s=30)
        yield Record(out)
        # The last death's event may still be on its way.
        time.sleep(0.5)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, "the recorder failed, so there is no witness"


Spans = Mapping[UUID, list[tuple[int, int]]]


def charged_spans(engine: Engine) -> Spans:
    """Return what was charged for each lease; the laws of the books hold."""
    found: dict[UUID, dict[UUID, tuple[int, int]]] = {}
    with reading(engine) as tx:
        violations = check_books(tx)
        assert not violations, describe(violations)
        for row in tx.execute(select(entries).where(entries.c.kind == "charge")).mappings():
            # One charge has several parts where several lots, or a debt, pay for it.
            span = (to_ms(row["from_at"]), to_ms(row["until_at"]))
            found.setdefault(row["lease_id"], {})[row["transfer_id"]] = span
    return {lease_id: list(spans.values()) for lease_id, spans in found.items()}


def differences(
    ran: Mapping[UUID, Ran], charged: Spans, *, within_ms: int = SAME_WITHIN_MS,
    end_within_ms: int | None = None,
) -> list[str]:  # fmt: skip
    """Say where the books and the record differ: lost, doubled, cut off, or made up."""
    end_within_ms = within_ms if end_within_ms is None else end_within_ms
    found = [f"{lease_id} was charged and never ran" for lease_id in charged.keys() - ran.keys()]
    for lease_id, one in ran.items():
        spans = sorted(charged.get(lease_id, []))
        if one.gone_ms is None:
            found.append(f"{lease_id} still runs")
        elif not spans:
            found.append(f"{lease_id} ran and was never charged")
        else:
            found += [f"{lease_id}: {text}" for text in _faults(
                one, spans, one.gone_ms, within_ms, end_within_ms)]  # fmt: skip
    return found


def _faults(
    one: Ran, spans: list[tuple[int, int]], gone_ms: int, within_ms: int, end_within_ms: int
) -> Iterator[str]:
    joints = [(a[1], b[0]) for a, b in pairwise(spans)]
    if any(end > start for end, start in joints):
        yield f"charged twice at {joints}"
    if any(end < start for end, start in joints):
        yield f"a gap at {joints}"
    if (off := abs(spans[0][0] - one.started_ms)) > within_ms:
        yield f"the start is off by {off} ms"
    if (off := abs(spans[-1][1] - gone_ms)) > end_within_ms:
        yield f"the end is off by {off} ms"


def lease_row(engine: Engine, lease_id: UUID) -> dict[str, Any]:
    """Return a lease as the books have it."""
    with reading(engine) as tx:
        row = tx.execute(select(leases).where(leases.c.id == lease_id)).mappings().one()
        return dict(row)
