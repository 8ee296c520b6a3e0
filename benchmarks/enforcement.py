"""20 sessions whose hours run out one after the other: from the last paid instant to gone."""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from sqlalchemy import select

from benchmarks.common import Figure, median, report
from lab.trial.running import RunningLab
from lab.trial.text import lab_text
from lab.trial.waiting import wait_for
from quota.clock import ms_between
from quota.store.engine import open_engine, reading
from quota.store.tables import leases

_SESSIONS = 20
_TICK_S = 15
# 30 s to act and 20 s of grace; half of the sessions within one look of the worker.
_MOST_S = 50.0
# The policy's defaults, not the trial's small numbers.
_NUMBERS = {"tick_s": _TICK_S, "grace_s": 20, "hold_step_s": 600, "minimum_start_s": 30,
            "spawn_timeout_s": 600, "max_spawning": 4}  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    """Measure one runtime, or both."""
    parser = argparse.ArgumentParser(prog="benchmarks enforcement")
    parser.add_argument("--spawner", choices=("process", "docker"), action="append")
    parser.add_argument("--sessions", type=int, default=_SESSIONS)
    given = parser.parse_args(arguments)
    worst = 0
    for spawner in given.spawner or ("process", "docker"):
        worst = max(worst, measure(spawner, given.sessions))
    return worst


def measure(spawner: str, count: int) -> int:
    """Run the sessions until all have been ended."""
    names = tuple(f"s{number:02d}" for number in range(count))
    text = lab_text(hours="0", gpus=-(-count // 4), policy=_NUMBERS, scholars=names)
    with tempfile.TemporaryDirectory(prefix="gpulab-enforcement-") as folder:
        hub_id = f"bench-{uuid4().hex[:8]}"
        with RunningLab(Path(folder), text=text, spawner=spawner, hub_id=hub_id) as lab:
            organizer = lab.logged_in("olga").token
            for number, name in enumerate(names):
                # A quarter of a GPU: four seconds for each second of GPU time.
                _grant(lab, organizer, name, f"{15 + number} s")
                lab.logged_in(name).start("quarter-gpu", within_s=180)
                print(f"{spawner}: {number + 1} of {count} sessions run", flush=True)
            wait_for("the end of all", lambda: not lab.sessions(), within_s=600, every_s=1)
            wait_for("closed books", lambda: len(_lags_s(lab)) >= count, within_s=120, every_s=1)
            lags_s = _lags_s(lab)
    middle, most = median(lags_s), max(lags_s)
    print(f"{spawner}: n {len(lags_s)}, median {middle:.2f} s, most {most:.2f} s")
    ok = middle <= _TICK_S and most <= _MOST_S
    return report(Figure(bench=f"enforcement-{spawner}", value=most, unit="s", limit=_MOST_S,
                         ratio=most / _MOST_S, target=1.0, ok=ok))  # fmt: skip


def _grant(lab: RunningLab, token: str, name: str, hours: str) -> None:
    body = {"hub_id": lab.hub_id, "account": name, "hours": hours, "reason": "benchmark"}
    reply = lab.service("PUT", f"/v1/grants/{uuid4()}", token=token, json=body)
    assert reply.status_code == 200, reply.text


def _lags_s(lab: RunningLab) -> list[float]:
    engine = open_engine(f"sqlite:///{lab.state.root / 'books.sqlite'}")
    try:
        with reading(engine) as tx:
            query = select(leases.c.paid_until, leases.c.ended_at).where(
                leases.c.end_reason == "exhausted"
            )
            return [ms_between(row.paid_until, row.ended_at) / 1000 for row in tx.execute(query)]
    finally:
        engine.dispose()
