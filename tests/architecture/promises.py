"""Writes docs/promises.md from the tests' names: `python -m tests.architecture.promises`.

A test keeps the promises whose numbers stand in its name. Its negative control is a test, or part
of one, that says so: a fault is put in on purpose, and has to be found. When a promise's tests
last passed is what pytest's cache of this folder says, or what the page said before.
"""

import ast
import json
import re
import textwrap
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "promises.md"
PASSED = ROOT / "docs" / "promises-passed.json"
CACHE = ROOT / ".pytest_cache" / "v" / "gpulab" / "passed"

PROMISES = {
    "P01": "Starts at the same time never over-commit",
    "P02": "Any event may be lost, doubled, reordered",
    "P03": "The ledger equals a model",
    "P04": "A crash at any step is safe",
    "P05": "What was acknowledged survives kill -9 of the service",
    "P06": "What was acknowledged survives kill -9 of the database",
    "P07": "The settings for durability are real",
    "P08": "A locked or frozen database does not freeze the lab",
    "P09": "A full disk is survived",
    "P10": "Contention is handled right",
    "P11": "Clocks that jump cost nobody",
    "P12": "The week's boundary is exact, also where clocks change",
    "P13": "Edits of limits reach running sessions",
    "P14": "History cannot change quietly",
    "P15": "The books close",
    "P16": "Short sessions are not free; nothing is won by rounding",
    "P17": "Used-up hours stop the GPU in time",
    "P18": "Stopping works with the proxy dead",
    "P19": "Stopping works with the hub stopped, or the service dead",
    "P20": "A hub that restarts in Docker trouble loses nothing",
    "P21": "A hub that restarts spares busy servers",
    "P22": "The hub's word is no proof of an end",
    "P23": "kill -9 of the hub in the middle of a start",
    "P24": "A Docker daemon that restarts",
    "P25": "Containers that die alone close their leases",
    "P26": "Foreign and forgotten GPU containers are seen",
    "P27": "Hub cut off from the service: closed for GPUs, open for the rest",
    "P28": "A dead or slow service never takes the hub down",
    "P29": "An outage is bounded",
    "P30": "The runtime is the spool: nothing that ran is lost",
    "P31": "Monitoring is not in the path",
    "P32": "Kubernetes: a stale watch cannot mislead the ledger",
    "P33": "Backup, restore and migration",
    "P34": "A TA who opens a hostile server is safe",
    "P35": "A TA's token at a scholar's server is worthless elsewhere",
    "P36": "Who may do what",
    "P37": "Containers are boxed in",
    "P38": "A container sees only its own GPUs",
    "P39": "Runtimes with known holes are told",
    "P40": "What a session can reach on the network",
    "P41": "Names cannot escape or collide",
    "P42": "Only the lab's images run",
    "P43": "Who fills a disk hurts only themselves",
    "P44": "Made-up requests by the thousand find nothing",
    "P45": "Forms need intent from the same site",
    "P46": "Secrets do not leak",
    "P47": "One scholar cannot starve the others",
    "P48": "Throughput",
    "P49": "The rush at the hour",
    "P50": "People do not log out",
    "P51": "Big books stay fast",
    "P52": "Hours of random faults",
}
# Without a test that is named for them, with the reason or with what shows it instead.
WITHOUT = {
    "P32": "needs the Kubernetes runtime, which is not there yet",
    "P48": "`make bench-admission` and `make bench-tick` measure its parts; ten minutes at the "
    "promised rates are not run yet",
    "P49": "`python -m benchmarks class_start` has 30 people on containers; 200 are not run yet",
    "P50": "500 open websockets for a quarter of an hour are not run yet",
    "P51": "`make bench-big-books`, by hand: docs/measurements.md",
    "P52": "the simulator (`make sim`) has faults of all kinds; ninety minutes on real processes "
    "are not run yet",
}
_ABOUT = """
    # What is promised, and which test keeps it

    Written by `python -m tests.architecture.promises` from the names of the tests. A promise is
    kept by the tests that carry its number. **Negative control**: a fault that is put in on
    purpose and has to be found. **Runs in**: `make test` is short and runs at every change;
    `make test-long` and `make faults` take longer. **Last passed**: the day on which the oldest
    of its tests last passed where this page was written, in the sizes that ran there; a dash says
    that not all of them ran.
    """
_CONTROL = re.compile(r"_catches_|_the_control_|_would_be_found|_could_write_is_found")
_NAME = re.compile(r"test_((?:p\d\d_)+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A test that keeps promises."""

    path: str
    name: str
    is_long: bool
    is_control: bool

    @property
    def key(self) -> str:
        """How the cache of passed tests names it."""
        return f"{self.path}::{self.name}"

    @property
    def command(self) -> str:
        """What runs it."""
        if not self.is_long:
            return "make test"
        is_fault = self.path.startswith(("tests/faults/", "tests/crash/"))
        return "make faults" if is_fault else "make test-long"


def proofs() -> dict[str, list[Proof]]:
    """Find every promise's tests."""
    found: dict[str, list[Proof]] = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for promise, proof in _in_file(path):
            found[promise].append(proof)
    return found


def text() -> str:
    """Write the page."""
    found, passed = proofs(), _known()
    lines = ["| | promise | tests | runs in | negative control | last passed |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    lines += [_row(number, title, found.get(number, []), passed)
              for number, title in PROMISES.items()]  # fmt: skip
    parts = [textwrap.dedent(_ABOUT).strip(), "\n".join(lines)]
    parts += [f"## {number}\n\n" + "\n".join(_lines(found[number]))
              for number in PROMISES if number in found]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _in_file(path: Path) -> Iterator[tuple[str, Proof]]:
    source = path.read_text()
    tree = ast.parse(source)
    marks_of_file = [ast.unparse(one) for one in tree.body if isinstance(one, ast.Assign)]
    all_long = any("pytestmark" in one and "mark.long" in one for one in marks_of_file)
    for one in ast.walk(tree):
        if not isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        numbered = _NAME.match(one.name)
        if numbered is None:
            continue
        # A size of several that is long stands within `parametrize`, not as a mark of its own.
        marks = [ast.unparse(mark) for mark in one.decorator_list]
        proof = Proof(
            path=path.relative_to(ROOT).as_posix(), name=one.name,
            is_long=all_long or "pytest.mark.long" in marks, is_control=_is_control(one, source),
        )  # fmt: skip
        for number in numbered[1].strip("_").upper().split("_"):
            yield number, proof


def _is_control(function: ast.FunctionDef | ast.AsyncFunctionDef, source: str) -> bool:
    said = ast.get_source_segment(source, function) or ""
    return bool(_CONTROL.search(function.name)) or "negative control" in said.lower()


def _row(number: str, title: str, tests: list[Proof], passed: dict[str, str]) -> str:
    if not tests:
        return f"| {number} | {title} | none: {WITHOUT[number]} | | | |"
    commands = " · ".join(f"`{one}`" for one in sorted({one.command for one in tests}))
    controls = sum(one.is_control for one in tests)
    days = [passed.get(one.key, "") for one in tests]
    last = min(days) if all(days) else "-"
    return (f"| [{number}](#{number.lower()}) | {title} | {len(tests)} | {commands} | "
            f"{controls or '-'} | {last} |")  # fmt: skip


def _lines(tests: list[Proof]) -> Iterator[str]:
    for one in tests:
        marks = ", ".join(mark for mark, holds in (
            ("long", one.is_long), ("negative control", one.is_control)) if holds)  # fmt: skip
        yield f"- `{one.key}`" + (f" ({marks})" if marks else "")


def _known() -> dict[str, str]:
    known: dict[str, str] = json.loads(PASSED.read_text()) if PASSED.exists() else {}
    return known


def _note_passed() -> None:
    """Take over which tests passed in this folder, and forget those that are gone."""
    found: dict[str, str] = json.loads(CACHE.read_text()) if CACHE.exists() else {}
    keys = {one.key for some in proofs().values() for one in some}
    days = {key: day for key, day in (_known() | found).items() if key in keys}
    PASSED.write_text(json.dumps(days, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    _note_passed()
    PAGE.write_text(text())
