"""`python -m quota.simulation`: look for faults of the books, seed after seed."""

import argparse
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from quota.clock import SystemClock
from quota.lab_file import load_lab
from quota.simulation.behaviour import Behaviour
from quota.simulation.search import Search, search_seed
from quota.simulation.torture import BrokenLaw

_LAB = Path(__file__).with_name("lab.yaml")


def main() -> int:
    """Run the seeds; 1 when one breaks a law, with the command that does it again."""
    given = _arguments()
    lab = load_lab(given.lab)
    today = datetime.combine(given.today, datetime.min.time(), UTC)
    totals: Counter[str] = Counter()
    began = time.monotonic()
    for seed in range(given.seed, given.seed + given.seeds):
        search = Search(lab=lab, behaviour=Behaviour(cpu_share=0.2, session_min=40), today=today,
                        weeks=given.weeks, gpus=given.gpus, rate=given.faults)  # fmt: skip
        with tempfile.TemporaryDirectory(prefix="gpulab-sim-") as folder:
            try:
                done = search_seed(search, seed, Path(folder) / "books.sqlite")
            except BrokenLaw as broken:
                print(f"seed {seed} breaks a law: {broken}\nagain: {_again(given, seed)}")  # noqa: T201
                return 1
        totals.update(done.faults)
        totals["steps"] += done.steps
        print(f"seed {seed}: {done.steps} steps, {sum(done.faults.values())} faults, "  # noqa: T201
              f"{done.sessions} sessions, {done.digest[:16]}", flush=True)  # fmt: skip
    faults = ", ".join(f"{count} {kind}" for kind, count in sorted(totals.items()))
    print(f"no law broken in {time.monotonic() - began:.0f} s: {faults}")  # noqa: T201
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m quota.simulation", description=__doc__)
    parser.add_argument("--lab", type=Path, default=_LAB, help="another lab.yaml")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds")
    parser.add_argument("--weeks", type=int, default=None, help="how many weeks of the program")
    parser.add_argument("--gpus", type=int, default=1, help="how many GPUs")
    parser.add_argument("--faults", type=float, default=0.1, help="faults for each step")
    parser.add_argument("--today", type=datetime.fromisoformat, default=SystemClock().now(),
                        help="the day on which a lab without a program begins")  # fmt: skip
    return parser.parse_args()


def _again(given: argparse.Namespace, seed: int) -> str:
    words = ["python -m quota.simulation", f"--lab {given.lab}" if given.lab != _LAB else "",
             f"--seed {seed}", f"--weeks {given.weeks}" if given.weeks else "",
             f"--gpus {given.gpus} --faults {given.faults}",
             f"--today {given.today:%Y-%m-%d}"]  # fmt: skip
    return " ".join(word for word in words if word)


if __name__ == "__main__":
    sys.exit(main())
