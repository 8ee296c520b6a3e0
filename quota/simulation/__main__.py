"""`python -m quota.simulation`: look for faults of the books, seed after seed."""

import argparse
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from quota.clock import SystemClock
from quota.lab_file import load_lab
from quota.simulation.behaviour import Behaviour
from quota.simulation.search import Search, search_seed
from quota.simulation.torture import BrokenLaw

_NAME = "python -m quota.simulation"
_LAB = Path(__file__).with_name("lab.yaml")


def main(words: list[str] | None = None, *, url: str | None = None, program: str = _NAME) -> int:
    """Run the seeds; 1 when one breaks a law, with the command that does it again."""
    given = _arguments(words)
    url = url or given.database_url
    lab = load_lab(given.lab)
    today = datetime.combine(given.today, datetime.min.time(), UTC)
    totals: Counter[str] = Counter()
    began = time.monotonic()
    for seed in range(given.seed, given.seed + given.seeds):
        search = Search(lab=lab, behaviour=Behaviour(cpu_share=0.2, session_min=40), today=today,
                        weeks=given.weeks, gpus=given.gpus, rate=given.faults)  # fmt: skip
        try:
            done = search_seed(search, seed, url)
        except BrokenLaw as broken:
            print(f"seed {seed} breaks a law: {broken}\nagain: {_again(program, given, seed)}")  # noqa: T201
            return 1
        except Exception:
            print(f"seed {seed} fails\nagain: {_again(program, given, seed)}")  # noqa: T201
            raise
        totals.update(done.faults)
        totals.update({f"times {name}": count for name, count in done.deeds.items()})
        totals["steps"] += done.steps
        faults, deeds = sum(done.faults.values()), sum(done.deeds.values())
        print(f"seed {seed}: {done.steps} steps, {faults} faults, {deeds} deeds, "  # noqa: T201
              f"{done.sessions} sessions, {done.digest[:16]}", flush=True)  # fmt: skip
    all_told = ", ".join(f"{count} {kind}" for kind, count in sorted(totals.items()))
    print(f"no law broken in {time.monotonic() - began:.0f} s: {all_told}")  # noqa: T201
    return 0


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=_NAME, description=__doc__)
    parser.add_argument("--lab", type=Path, default=_LAB, help="another lab.yaml")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds")
    parser.add_argument("--weeks", type=int, default=None, help="how many weeks of the program")
    parser.add_argument("--gpus", type=int, default=1, help="how many GPUs")
    parser.add_argument("--faults", type=float, default=0.1, help="faults for each step")
    parser.add_argument("--database-url", default=None,
                        help="a PostgreSQL cluster on which databases may be made and dropped; "
                             "a SQLite file if left out")  # fmt: skip
    parser.add_argument("--today", type=datetime.fromisoformat, default=SystemClock().now(),
                        help="the day on which a lab without a program begins")  # fmt: skip
    return parser.parse_args(words)


def _again(program: str, given: argparse.Namespace, seed: int) -> str:
    words = [program, f"--lab {given.lab}" if given.lab != _LAB else "",
             f"--seed {seed}", f"--weeks {given.weeks}" if given.weeks else "",
             f"--gpus {given.gpus} --faults {given.faults}",
             f"--today {given.today:%Y-%m-%d}",
             f"--database-url {given.database_url}" if given.database_url else ""]  # fmt: skip
    return " ".join(word for word in words if word)


if __name__ == "__main__":
    sys.exit(main())
