"""The programs for real hardware say so where there is none."""

import subprocess
import sys

import pytest

from api.gpus.choose import choose_gpus
from api.gpus.devices import InventoryUnavailable
from lab.settings import PROJECT


def has_gpu() -> bool:
    try:
        choose_gpus("nvml", ())
    except InventoryUnavailable:
        return False
    return True


@pytest.mark.skipif(has_gpu(), reason="this machine has a GPU")
@pytest.mark.parametrize(
    ("command", "says"),
    [(["tests.gpu.check"], "No GPU to check"),
     (["benchmarks", "sharing"], "Nothing was measured")],
)  # fmt: skip
def test_without_a_gpu_they_say_so_with_a_status_of_its_own(command: list[str], says: str) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=PROJECT, capture_output=True,
                          text=True, timeout=120, check=False)  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert says in done.stdout
