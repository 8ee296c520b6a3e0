"""What the command line prints: whole names on narrow terminals, plain text, JSON everywhere."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest
import typer

from api.cli import app
from api.printing import as_plain, table
from api.starting import EXIT_STATUSES
from tests.api.processes import ROOT
from tests.api.test_cli import Shell, bare, shell

__all__ = ["bare", "shell"]

LONG = "maximiliane-theodora.von-und-zu-hohenstein@example-university"
PROGRAM: Any = typer.main.get_command(app)
GROUPS = ("datasets", "export", "feed")
COMMANDS: dict[str, Any] = {
    **{name: one for name, one in PROGRAM.commands.items() if name not in GROUPS},
    **{f"{group} {name}": one for group in GROUPS
       for name, one in PROGRAM.commands[group].commands.items()},
}  # fmt: skip


def on_a_terminal(folder: Path, *words: str, columns: int = 80) -> tuple[int, str]:
    """Run the real program on a terminal of so many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    own = {name: value for name, value in os.environ.items()
           if name not in {"COLUMNS", "NO_COLOR"}}  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "api.cli", *words], cwd=folder, stdin=theirs, stdout=theirs,
        stderr=theirs, env=own | {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color"},
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    while True:
        try:
            part = os.read(ours, 65_536)
        except OSError:  # the program has closed its end
            break
        if not part:
            break
        seen += part
    os.close(ours)
    plain = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", seen).decode()
    return process.wait(timeout=60), plain.replace("\r\n", "\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_json_and_says_how_it_ends(name: str) -> None:
    one = COMMANDS[name]
    assert "--json" in {option for each in one.params for option in each.opts}
    for status, why in EXIT_STATUSES.items():
        assert f"{status} {why}" in one.epilog
    guide = (ROOT / "docs/organizers.md").read_text()
    for status, why in EXIT_STATUSES.items():
        assert f"| {status} | {why} |" in guide


def test_names_are_whole_on_a_narrow_terminal(shell: Shell) -> None:
    text = (shell.folder / "lab.yaml").read_text()
    (shell.folder / "lab.yaml").write_text(text.replace("[emeka]", f"[emeka, {LONG}]"))
    reason = "an outage of the file server, [bold]and[/bold] of the network behind it " * 3
    assert shell.run("grant", LONG, "1.5", "--reason", reason.strip())[0] == 0
    status, said = on_a_terminal(shell.folder, "report", "--people", columns=60)
    assert status == 0
    assert re.search(rf"{re.escape(LONG)} +0\.00 +2\.50 ", said)
    assert "─" in said
    status, said = on_a_terminal(shell.folder, "account", LONG, "--why")
    assert status == 0
    assert "[bold]and[/bold]" in " ".join(re.sub(r"[│\s]+", " ", said).split())
    assert "2.50 GPU-hours in all; available: 2.50." in said


def test_a_check_of_the_books_shows_how_far_it_is(shell: Shell) -> None:
    for who in ("ada", "blaise"):
        shell.run("grant", who, "1", "--reason", "books of more than one account")
    status, said = on_a_terminal(shell.folder, "check")
    assert status == 0
    assert "Checking the books, by account" in said
    assert "2/2" in said
    assert "Checking" not in shell.run("check")[1], "and nothing of it where nobody looks on"


def test_a_pipe_gets_no_frames_and_no_folds(shell: Shell) -> None:
    shell.monkeypatch.setenv("COLUMNS", "20")
    shell.run("grant", "ada", "1", "--reason", "word " * 60)
    said = shell.run("account", "ada", "--why")[1]
    assert said.splitlines()[2].count("word") == 60
    assert not set(said) & set("─│╭\x1b")


def test_columns_of_figures_stand_to_the_right() -> None:
    rows = [("ada", "10.00", "-"), ("日本", "-2.50", "<1 %")]
    assert as_plain([table(("who", "hours", "part"), rows, title="Use")]) == (
        "Use\n"
        "who   hours  part\n"
        "ada   10.00     -\n"
        "日本  -2.50  <1 %\n"
    )  # fmt: skip


def test_json_says_what_was_done_and_what_is_wrong(bare: Shell) -> None:
    def printed(status: int, *words: str) -> dict[str, object]:
        ended, said = bare.run(*words, "--json")
        assert ended == status, said
        found = json.loads(said)
        assert isinstance(found, dict)
        return found

    assert printed(0, "migrate") == {"revision": "head"}
    assert printed(0, "lab-file")["problems"] == []
    (bare.folder / "bad.yaml").write_text("name: x\nsurprise: 1\n")
    problems = printed(1, "lab-file", "bad.yaml")["problems"]
    assert isinstance(problems, list)
    assert {one["line"] for one in problems} >= {2}
    assert printed(0, "check") == {"faults": []}
    assert printed(0, "backup", "books.copy")["file"] == "books.copy"
    restored = printed(0, "restore", "books.copy")
    assert restored["faults"] == []
    assert Path(str(restored["before"])).exists()
    findings = printed(0, "doctor")["findings"]
    assert isinstance(findings, list)
    assert {one["level"] for one in findings} <= {"ok", "warn"}
    assert printed(0, "export", "trail-head")["seq"] == 0
    weeks = printed(0, "export", "calendar", "berlin")["weeks"]
    assert isinstance(weeks, list)
    assert weeks[0]["section"] == "berlin"
    (bare.folder / "roster.csv").write_text("name,section\nzoe,nowhere\n")
    refused = printed(1, "import-roster", "roster.csv")
    assert (refused["done"], len(refused["faults"])) == (False, 1)  # type: ignore[arg-type]


def test_something_long_shows_that_it_goes_on(shell: Shell) -> None:
    for words in (("check",), ("backup", "books.copy"), ("restore", "books.copy")):
        status, said = on_a_terminal(shell.folder, *words)
        assert status == 0, said
        assert re.search(r"\d:\d\d:\d\d", said), words
