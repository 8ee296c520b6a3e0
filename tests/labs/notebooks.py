"""The weekly labs as the tests read, change and run them."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.architecture import code

WEEKS = range(1, 10)
LABS = code.ROOT / "images" / "labs"
EXECUTE = Path(__file__).with_name("execute.py")
# What runs without PyTorch, wherever the tests run.
LIGHT = (1, 2)

# For each week one line that it is about, and what takes its sense away: the lab's own check has
# to see that. The last text is of the sentence with which it does.
BROKEN = {
    1: ("weights = weights + y * x", "weights = weights - y * x", "has not converged"),
    2: ("return -(sigmoid(-margin) * y) @ x", "return (sigmoid(-margin) * y) @ x", "slope"),
    3: ("nn.Linear(2, 64), nn.ReLU(),", "nn.Linear(2, 64), nn.Identity(),", "the network is"),
    4: ("delta_a = delta_h * (a > 0)", "delta_a = delta_h", "backpropagation by hand"),
    5: (".triu(1)\n    weights", ".triu(2)\n    weights", "attention by hand differs"),
    6: ("x + (changed - x).clamp(-size, size)", "changed", "by more than it may"),
    7: ("test_scores / temperature", "test_scores * temperature", "calibration error"),
    8: ("keep[dropped] = False", "keep[dropped] = True", "of the poison caught"),
    9: ('torch.set_rng_state(state["random"].cpu())', "pass", "a resumed run"),
}  # fmt: skip


def path_of(week: int) -> Path:
    return LABS / f"week-{week}.ipynb"


def read(week: int) -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads(path_of(week).read_text())
    return notebook


def normal(notebook: dict[str, Any]) -> str:
    """Return a notebook as the repository keeps it: as JupyterLab writes it."""
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def codes(notebook: dict[str, Any]) -> list[str]:
    return [source(cell) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def broken(week: int) -> str:
    """Return a lab with the line changed that it is about."""
    right, wrong, _ = BROKEN[week]
    notebook = read(week)
    assert "".join(codes(notebook)).count(right) == 1, right
    for cell in notebook["cells"]:
        cell["source"] = [source(cell).replace(right, wrong)]
    return normal(notebook)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What came of running a lab from top to bottom."""

    lab: str
    wall_s: float
    cpu_s: float
    figures: int
    printed: str
    complaints: str
    error: str


def runs_of(output: str) -> list[Run]:
    return [Run(**json.loads(line)) for line in output.splitlines() if line.startswith("{")]


def run_here(paths: Sequence[Path], folder: Path) -> list[Run]:
    """Run labs by this interpreter, in a process of their own."""
    done = subprocess.run(
        [sys.executable, str(EXECUTE), str(folder), *map(str, paths)], cwd=folder, text=True,
        capture_output=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return runs_of(done.stdout)
