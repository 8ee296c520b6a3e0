"""A class that begins: thirty people press Start at the same moment, on a real hub in Docker.

Prints how long each waited until the session was ready, and every start that failed.
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

from benchmarks.common import Figure, median, report
from lab.trial.running import RunningLab
from lab.trial.text import lab_text
from lab.trial.visitor import Visitor
from lab.trial.waiting import wait_for

_PEOPLE = 30
# JupyterHub gives a start up after this time.
_LONGEST_S = 300


def main(arguments: Sequence[str]) -> int:
    """Start all at once; every failure counts."""
    parser = argparse.ArgumentParser(prog="benchmarks class_start")
    parser.add_argument("--people", type=int, default=_PEOPLE)
    parser.add_argument("--flavor", default="cpu", choices=("cpu", "quarter-gpu"))
    given = parser.parse_args(arguments)
    names = [f"s{number:02}" for number in range(given.people)]
    # As many virtual GPUs as the class needs, and room for all of them to start at once.
    text = lab_text(hours="100", scholars=names, gpus=-(-given.people // 4),
                    policy={"max_spawning": given.people, "spawn_timeout_s": 600})  # fmt: skip
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gpulab-class-")))
        hub_id = f"bench-{uuid4().hex[:8]}"
        lab = stack.enter_context(RunningLab(folder, text=text, spawner="docker", hub_id=hub_id))
        people = [lab.logged_in(name) for name in names]
        for one in people:
            assert one.token  # made beforehand: pages are not what is measured
        found = _all_at_once(people, given.flavor)
        running = len(lab.sessions())
    took = sorted(one for one in found.values() if isinstance(one, float))
    for name, why in found.items():
        if not isinstance(why, float):
            print(f"{name} failed: {why}")
    failed = len(found) - len(took)
    if took:
        print(f"{len(took)} ready after {took[0]:.1f}-{took[-1]:.1f} s, median "
              f"{median(took):.1f} s; {running} containers run")  # fmt: skip
    return report(Figure(bench="class-start-failures", value=failed, unit="starts",
                         limit=given.people, ratio=failed / given.people, target=0,
                         ok=failed == 0 and running == given.people))  # fmt: skip


def _all_at_once(people: Sequence[Visitor], flavor: str) -> dict[str, float | str]:
    """Press Start for everybody behind one barrier; return times to ready, or what went wrong."""
    together = threading.Barrier(len(people))

    def start(one: Visitor) -> float | str:
        together.wait()
        began = time.monotonic()
        try:
            reply = one.spawn(flavor)
            if reply.status_code not in (201, 202):
                return f"{reply.status_code} {reply.text[:200]}"
            wait_for("a session", one.is_running, within_s=_LONGEST_S, every_s=1)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a failed start
            return f"{type(error).__name__}: {str(error)[:200]}"
        return time.monotonic() - began

    with ThreadPoolExecutor(len(people)) as pool:
        return dict(zip((one.name for one in people), pool.map(start, people), strict=True))
