"""What was changed while the lab runs, as a patch of lab.yaml: whole, and comments stay."""

import shutil
import subprocess
from pathlib import Path

import pytest

from quota.lab_file import parse_lab
from quota.lab_patch import parts_text, patch_of, patched
from quota.rulebook import Amendment, rules_of
from tests.architecture.code import ROOT

SHIPPED = (ROOT / "lab.yaml").read_text()
FLOW = """# ours
name: Test lab
sections:
  utc: {time_zone: UTC, scholars: [ada, "007"], hours_per_week: 10, tas: [tomas]} # one line
  berlin: {time_zone: Europe/Berlin, scholars: [emeka]}
due_dates: {a: {title: "A, b", due: 2027-01-01 10:00}, c: {due: 2027-01-02 10:00}}
flavors: {cpu: {weight_mgpu: 0}}
images: {base: {docker: "gpulab/base:latest"}}"""

HOURS = {"time_zone": "America/New_York", "scholars": ["ada", "zoë.x@b"][:1], "tas": ["tomas"],
         "hours_per_week": "12.5", "hours_in_weeks": {}, "title": "Americas: all"}  # fmt: skip
DUE = {"title": "Essay; part 2 # no comment", "due": "2027-03-01 23:59", "hours": "2"}


def change(part: str, name: str, body: object) -> Amendment:
    return Amendment(part=part, name=name, body=body, version=1)  # type: ignore[arg-type]


CASES = {
    "a section": [change("sections", "americas", HOURS)],
    "a part that is commented out": [change("due_dates", "essay", DUE)],
    "two of a new part": [change("due_dates", "essay", DUE), change("due_dates", "talk", DUE)],
    "made and taken away": [change("due_dates", "essay", None)],
    "a section taken away": [change("sections", "europe-africa", None)],
    "a new section": [change("sections", "asia", {"time_zone": "Asia/Tokyo"})],
    "numbers as names": [change("sections", "americas", HOURS | {"title": "12"})],
    "weeks away": [change("scholars", "ada", {"hours_per_week": "3", "sessions": 2})],
    "hours": [change("sections", "americas", HOURS | {
        "co_working": [{"day": "friday", "starts": "09:00", "ends": "24:00"}]})],
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_file_says_what_holds_and_keeps_its_comments(case: str, tmp_path: Path) -> None:
    lab = parse_lab(SHIPPED, "lab.yaml")
    rules = rules_of(lab, CASES[case])
    assert rules.left_out == ()
    after = patched(SHIPPED, "lab.yaml", rules)
    assert after is not None
    assert parse_lab(after, "lab.yaml") == rules.lab
    kept = [line for line in SHIPPED.splitlines() if line.startswith("#")]
    assert [line for line in after.splitlines() if line.startswith("#")] == kept
    _applies(SHIPPED, patch_of(SHIPPED, "lab.yaml", rules), after, tmp_path)


@pytest.mark.parametrize("changes", [
    [change("sections", "utc", {"time_zone": "UTC", "scholars": ["ada", "007"], "title": "ü"})],
    [change("due_dates", "a", None)], [change("due_dates", "a", DUE)],
    [change("due_dates", "b", DUE), change("due_dates", "c", None)],
    [change("due_dates", "a", None), change("due_dates", "c", None)],
    [change("blackouts", "x", {"starts": "2027-01-01 00:00", "ends": "2027-01-02 00:00"})],
])  # fmt: skip
def test_a_file_in_braces_is_followed_too(changes: list[Amendment], tmp_path: Path) -> None:
    rules = rules_of(parse_lab(FLOW, "lab.yaml"), changes)
    assert rules.left_out == ()
    after = patched(FLOW, "lab.yaml", rules)
    assert after is not None
    assert "# one line" in after
    _applies(FLOW, patch_of(FLOW, "lab.yaml", rules), after, tmp_path)


def test_a_file_that_says_something_else_by_now_gets_no_patch() -> None:
    rules = rules_of(parse_lab(SHIPPED, "lab.yaml"), CASES["a section"])
    other = SHIPPED.replace("hours_per_week: 10", "hours_per_week: 11")
    assert patched(other, "lab.yaml", rules) is None
    assert patch_of("{}", "lab.yaml", rules) is None
    assert patch_of("name: [", "lab.yaml", rules) is None


def test_the_changed_entries_can_be_had_alone() -> None:
    rules = rules_of(parse_lab(SHIPPED, "lab.yaml"), [
        *CASES["a part that is commented out"], *CASES["a section taken away"]])  # fmt: skip
    text = parts_text(rules)
    assert "# removed: sections.europe-africa" in text
    assert "due_dates:" in text
    assert "europe-africa:" not in text.replace("# removed", "")


def _applies(before: str, patch: str | None, after: str, folder: Path) -> None:
    """The patch is one for the program that applies patches."""
    assert patch is not None
    if after == before:
        assert patch == ""
        return
    tool = shutil.which("patch") or shutil.which("git")
    assert tool is not None, "neither patch nor git is there"
    (folder / "lab.yaml").write_text(before)
    (folder / "lab.patch").write_text(patch)
    how = ["apply", "--whitespace=nowarn"] if tool.endswith("git") else ["-p1", "-i"]
    done = subprocess.run([tool, *how, "lab.patch"], cwd=folder, capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "lab.yaml").read_text() == after
