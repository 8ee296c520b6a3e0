"""How long after the last paid millisecond a session is really gone, whatever is broken.

Twenty sessions that run out one after the other under real worker, hub and runtime. Both instants
are the books' own: when the GPU time was used up, and the runtime's record of the end. With a hub
that answers nobody (SIGSTOP) and without a proxy (where the hub says yes and does nothing) the
worker has to ask the runtime itself.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from sqlalchemy import select

from benchmarks.common import Figure, median, report
from lab.trial.exhausting import NUMBERS, TROUBLES, exhausting_text, start_all
from lab.trial.running import RunningLab
from lab.trial.waiting import wait_for
from quota.clock import ms_between
from quota.store.engine import open_engine, reading
from quota.store.tables import leases

_SESSIONS = 20
# 30 s to act and 20 s of grace; half of the sessions within one look of the worker.
_MOST_S = 50.0
_WITH = {"process": ("idle",), "docker": ("idle", "hub-stopped", "proxy-dead")}


def main(arguments: Sequence[str]) -> int:
    """Measure one runtime, or both."""
    parser = argparse.ArgumentParser(prog="benchmarks enforcement")
    parser.add_argument("--spawner", choices=("process", "docker"), action="append")
    parser.add_argument("--with", choices=tuple(TROUBLES), action="append", dest="troubles")
    parser.add_argument("--sessions", type=int, default=_SESSIONS)
    given = parser.parse_args(arguments)
    worst = 0
    for spawner in given.spawner or ("process", "docker"):
        for trouble in given.troubles or _WITH[spawner]:
            worst = max(worst, measure(spawner, trouble, given.sessions))
    return worst


def measure(spawner: str, trouble: str, count: int) -> int:
    """Run the sessions until all have been ended."""
    with tempfile.TemporaryDirectory(prefix="gpulab-enforcement-") as folder:
        hub_id = f"bench-{uuid4().hex[:8]}"
        with RunningLab(Path(folder), text=exhausting_text(count), spawner=spawner,
                        hub_id=hub_id) as lab:  # fmt: skip
            start_all(lab, count)
            print(f"{spawner}, {trouble}: {count} sessions run", flush=True)
            with TROUBLES[trouble](lab):
                wait_for("the end of all", lambda: not lab.sessions(), within_s=600, every_s=1)
            wait_for("closed books", lambda: len(_lags_s(lab)) >= count, within_s=120, every_s=1)
            lags_s = _lags_s(lab)
    middle, most = median(lags_s), max(lags_s)
    print(f"{spawner}, {trouble}: n {len(lags_s)}, median {middle:.2f} s, most {most:.2f} s")
    ok = middle <= NUMBERS["tick_s"] and most <= _MOST_S
    return report(Figure(bench=f"enforcement-{spawner}-{trouble}", value=most, unit="s",
                         limit=_MOST_S, ratio=most / _MOST_S, target=1.0, ok=ok))  # fmt: skip


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
