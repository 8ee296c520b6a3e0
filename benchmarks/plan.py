"""How long it takes to simulate a program for a plan: 9 weeks, 200 scholars, 8 GPUs, one core.

Processor time, since a plan uses as many cores as there are; the limit is a minute.
"""

import argparse
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.common import Figure, median, report
from quota.lab_file import load_lab
from quota.simulation.behaviour import Behaviour
from quota.simulation.plan import Question, simulate
from quota.simulation.variants import with_scholars

LIMIT_S = 60.0
EXAMPLE = Path(__file__).parents[1] / "examples" / "mlss-2022.yaml"
TODAY = datetime(2022, 6, 1, tzinfo=UTC)


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks plan", description=__doc__)
    parser.add_argument("--scholars", type=int, default=200)
    parser.add_argument("--gpus", type=int, default=8)
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args(words)
    lab = with_scholars(load_lab(EXAMPLE), chosen.scholars)
    took = []
    for seed in range(1, chosen.runs + 1):
        began, spent = time.perf_counter(), time.process_time()
        outcome = simulate(Question(lab=lab, behaviour=Behaviour(), today=TODAY, weeks=None,
                                    gpus=chosen.gpus, percent=100, seed=seed))  # fmt: skip
        took.append(time.process_time() - spent)
        print(f"seed {seed}: {outcome.steps} steps, {len(outcome.waits)} wishes, "
              f"{took[-1]:.1f} s of processor time, {time.perf_counter() - began:.1f} s by the "
              "clock")  # fmt: skip
    value = median(took)
    return report(Figure(bench="plan", value=value, unit="s", limit=LIMIT_S, ratio=value / LIMIT_S,
                         target=1.0, ok=value <= LIMIT_S))  # fmt: skip
