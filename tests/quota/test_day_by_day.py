"""The organizers' guide, "Day by day": its own commands, files and edits, run in their order.

What stands below a command in the guide is what the command prints, but for ids, new each
time. Between the commands a scholar uses a GPU, as the guide tells.
"""

import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from icalendar import Calendar

from api.cli import main
from quota.clock import ManualClock
from quota.lab_file import load_lab
from quota.store.engine import open_engine
from tests.quota.books import Desk, gpu

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/organizers.md").read_text()
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_IDS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{32}\b")
_FILE = re.compile(r"`(\w+\.csv)`")


@dataclass
class Organizer:
    """Somebody who does what the guide says, in a folder of their own."""

    folder: Path
    clock: ManualClock
    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch
    printed: str = ""

    def follow(self, text: str) -> None:
        """Do what each block of a part of the guide says."""
        said = 0
        for block in _BLOCK.finditer(text):
            kind, content = block.groups()
            if kind == "sh":
                self.printed = "".join(self.run(line) for line in _commands(content))
            elif kind == "text":
                assert _without_ids(self.printed) == _without_ids(content)
            elif kind == "yaml":
                lab_file = self.folder / "lab.yaml"
                lab_file.write_text(edited(lab_file.read_text(), content))
            elif kind == "csv":
                name = _FILE.findall(text[said : block.start()])[-1]
                (self.folder / name).write_text(content)
            else:
                raise AssertionError(f"the guide has a block of {kind}")
            said = block.end()

    def run(self, line: str) -> str:
        """Run one command line and return what it printed."""
        command, _, target = line.partition(" > ")
        words = shlex.split(command)
        if words[0] == "cp":
            shutil.copy(self.folder / words[1], self.folder / words[2])
            return ""
        assert words[0] == "gpulab", line
        if words[1] == "plan":  # the same command over less of the program: it is long
            words += ["--weeks", "1", "--runs", "1", "--processes", "1", "--allowance", ""]
        self.monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as end:
            main()
        said = self.capsys.readouterr()
        assert (end.value.code or 0) == 0, (line, said.out + said.err)
        if target:
            (self.folder / target).write_text(said.out)
            return ""
        return said.out

    @contextmanager
    def lab(self) -> Iterator[Desk]:
        """Let the lab run for a while, as the worker sees it."""
        engine = open_engine(f"sqlite:///{self.folder}/.state/books.sqlite", pool_size=2)
        desk = Desk(engine, load_lab(self.folder / "lab.yaml"), self.clock)
        desk.books.reload_rules()
        desk.books.set_inventory([gpu("GPU-0", 81_920)])
        yield desk
        desk.check()
        engine.dispose()


def edited(text: str, block: str) -> str:
    """Write the lines of a block into a file: over the line with the same key, else below."""
    lines, at = text.splitlines(), -1
    for wanted in block.splitlines():
        key, indent = wanted.partition(":")[0], _indent(wanted)
        place = None
        for number in range(at + 1, len(lines)):
            if lines[number].partition(":")[0] == key:
                place = number
                break
            if at >= 0 and lines[number].strip() and _indent(lines[number]) < indent:
                break
        if place is None:
            assert at >= 0, f"the file has no line {wanted!r}"
            lines.insert(at + 1, wanted)
            place = at + 1
        lines[place] = wanted
        at = place
    return "\n".join(lines) + "\n"


def parts_of(guide: str) -> dict[str, str]:
    """Split "Day by day" at its headings."""
    day = guide.split("\n## Day by day\n")[1].split("\n## ", maxsplit=1)[0]
    first, *rest = day.split("\n### ")
    assert "```" not in first
    return {part.partition("\n")[0]: part for part in rest}


def _commands(block: str) -> list[str]:
    joined = block.replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.strip()]


def _without_ids(text: str) -> str:
    return _IDS.sub("ID", text)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


@pytest.fixture
def olga(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Organizer:
    (tmp_path / "examples").mkdir()
    shutil.copy(ROOT / "examples/mlss-2022.yaml", tmp_path / "examples")
    clock = ManualClock(datetime(2022, 7, 14, 8, tzinfo=UTC))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOGNAME", "olga-lindqvist")
    for module in ("cli_settings", "cli_plan", "cli_backup"):
        monkeypatch.setattr(f"api.{module}.SystemClock", lambda: clock)
    return Organizer(tmp_path, clock, capsys, monkeypatch)


def test_the_guide_does_what_it_says(olga: Organizer) -> None:
    parts = parts_of(GUIDE)

    def confirm() -> None:
        (line,) = [one for one in olga.printed.splitlines() if "--token" in one]
        assert "2.00 GPU-hours were given to 1 scholar(s)." in olga.run(line.strip())

    def work() -> None:
        with olga.lab() as desk:
            desk.use("newcomer-nia", "whole-gpu", hours=10)

    before: dict[str, Callable[[], None]] = {"Refund an outage": work}
    for heading, part in parts.items():
        before.get(heading, lambda: None)()
        if heading.startswith("Hand out"):
            first, rest = part.split("Then run the command")
            olga.follow(first)
            confirm()
            olga.follow(rest)
        else:
            olga.follow(part)
    assert "7.25 GPU-hours in all" in olga.run("gpulab account newcomer-nia --why")
    assert "bela-schmidt" in (olga.folder / "week-4.csv").read_text()
    assert "newcomer-nia,europe-africa" in (olga.folder / "usage.csv").read_text()
    events = Calendar.from_ical((olga.folder / "europe-africa.ics").read_bytes()).walk("VEVENT")
    assert any("Assignment 2" in str(one["summary"]) for one in events)
    assert list(parts) == [
        "Take the example program", "Change a section's hours",
        "See what that means, before it happens", "Import a roster",
        "Hand out extra hours before a due date", "Refund an outage",
        "Read why one scholar has 7.25 hours left", "Reports, exports, and the trail",
    ]  # fmt: skip


def test_an_edit_stays_within_its_block() -> None:
    text = "a:\n  x: 1\n  y: 2\nb:\n  x: 3\n  z: 4\n"
    assert edited(text, "a:\n  z: 9\n") == "a:\n  z: 9\n  x: 1\n  y: 2\nb:\n  x: 3\n  z: 4\n"
    assert edited(text, "b:\n  z: 9\n") == text.replace("z: 4", "z: 9")
