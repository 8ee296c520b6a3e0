"""Training side by side on one GPU: what 1, 2 and 4 sessions do together against one alone.

`python -m benchmarks sharing [SECONDS]`. Needs an NVIDIA GPU and PyTorch with CUDA in this Python;
without them it says so and ends with status 3. Under `mps` only where its control program is.
The asked ratio is that of time-slicing (`plain`): together at least 0.95 of one alone.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress

from api.gpus.choose import choose_gpus
from api.gpus.devices import InventoryUnavailable
from benchmarks.common import Figure, median, report

NO_GPU = 3
_SHARERS = (1, 2, 4)
_ROUNDS = 3
_TARGET = 0.95
_CONTROL = "nvidia-cuda-mps-control"
# Trains for some seconds once all the others are ready, too, and prints its steps per second.
_TRAIN = """
import sys, time
import torch
from torch import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1),
                      nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)).cuda()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
images, labels = torch.randn(128, 3, 64, 64).cuda(), torch.randint(10, (128,)).cuda()
def step():
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(images), labels).backward()
    optimizer.step()
for _ in range(20):
    step()
torch.cuda.synchronize()
print("ready", flush=True)
sys.stdin.readline()
began, steps = time.monotonic(), 0
while time.monotonic() - began < float(sys.argv[1]):
    for _ in range(10):
        step()
    torch.cuda.synchronize()
    steps += 10
print(steps / (time.monotonic() - began), flush=True)
"""


def main(arguments: Sequence[str]) -> int:
    seconds = float(arguments[0]) if arguments else 20.0
    if (trouble := _what_is_missing()) is not None:
        print(f"Nothing was measured: {trouble}.")
        return NO_GPU
    alone = 0.0
    worst = float("inf")
    for mode in ("plain", "mps"):
        if mode == "mps" and shutil.which(_CONTROL) is None:
            print(f"mps: not measured, {_CONTROL} is not here")
            continue
        totals = _totals(mode, seconds)
        alone = alone or totals[1]
        for count, total in totals.items():
            print(
                f"{mode}: {count} together {total:.1f} steps/s, {total / alone:.3f} of one alone"
            )
        if mode == "plain":
            worst = min(total / alone for count, total in totals.items() if count > 1)
    return report(Figure(bench="sharing", value=worst * alone, unit="steps/s", limit=alone,
                         ratio=worst, target=_TARGET, ok=worst >= _TARGET))  # fmt: skip


def _what_is_missing() -> str | None:
    try:
        choose_gpus("nvml", ())
    except InventoryUnavailable as error:
        return str(error)
    asked = [sys.executable, "-c", "import torch; raise SystemExit(not torch.cuda.is_available())"]
    done = subprocess.run(asked, capture_output=True, check=False)
    return None if done.returncode == 0 else "PyTorch with CUDA is not in this Python"


def _totals(mode: str, seconds: float) -> dict[int, float]:
    """Return for each number of sessions their steps per second together, the median of rounds."""
    with tempfile.TemporaryDirectory(prefix="gpulab-mps-") as folder:
        env = dict(os.environ)
        if mode == "mps":
            env |= {"CUDA_MPS_PIPE_DIRECTORY": folder, "CUDA_MPS_LOG_DIRECTORY": folder}
            subprocess.run([_CONTROL, "-d"], env=env, check=True)
        try:
            return {count: median([_together(count, seconds, env) for _ in range(_ROUNDS)])
                    for count in _SHARERS}  # fmt: skip
        finally:
            if mode == "mps":
                subprocess.run([_CONTROL], input="quit\n", text=True, env=env, check=False)


def _together(count: int, seconds: float, env: Mapping[str, str]) -> float:
    children = [
        subprocess.Popen([sys.executable, "-c", _TRAIN, str(seconds)], env=env, text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(count)
    ]  # fmt: skip
    try:
        for one in children:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        for one in children:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        return sum(float(one.communicate(timeout=seconds + 60)[0]) for one in children)
    finally:
        for one in children:
            with suppress(ProcessLookupError):
                one.kill()
            one.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
