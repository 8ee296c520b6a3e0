"""`gpulab plan` and `python -m quota.simulation`: what people type, and what they get."""

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from api.cli_plan import plan
from api.plan_charts import bars, field, lines, nice_top
from api.plan_text import percent_text, span_text
from quota.clock import SystemClock
from quota.simulation import __main__ as search
from quota.simulation.torture import BrokenLaw
from tests.simulation.labs import PROGRAM

APP = typer.Typer()
APP.command()(plan)
FEW = ["--gpus", "1,2", "--scholars", "6", "--runs", "1", "--weeks", "4", "--processes", "1"]


@pytest.fixture
def lab_file(tmp_path: Path) -> Path:
    path = tmp_path / "lab.yaml"
    path.write_text(PROGRAM.replace("Nine weeks", "Nine <weeks>"), "utf-8")
    return path


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(APP, words, env={"COLUMNS": "120", "TERM": "dumb"})
    return result.exit_code, result.output


class Outside(HTMLParser):
    """Collects tags, and whatever would be fetched from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href")]


def test_a_plan_is_a_table_and_a_report(lab_file: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    code, output = run(str(lab_file), *FEW, "--html", str(report))
    assert code == 0, output
    assert "Waiting, by number of GPUs" in output
    assert "By section" in output
    assert "Another allowance" in output
    page = report.read_text("utf-8")
    seen = Outside()
    seen.feed(page)
    assert seen.fetched == [], "the report stands alone"
    assert "script" not in seen.tags
    assert seen.tags.count("svg") == 5
    assert "Nine &lt;weeks&gt;" in page
    assert "url(" not in page


def test_the_same_seed_gives_the_same_data(lab_file: Path) -> None:
    code, first = run(str(lab_file), *FEW, "--json", "--allowance", "50")
    assert code == 0
    data = json.loads(first)
    assert [one["gpus"] for one in data["by_gpus"]] == [1, 2]
    assert [one["percent"] for one in data["by_allowance_percent"]] == [50, 100]
    assert data["by_gpus"][0]["waits"]["wishes"] > 0
    assert run(str(lab_file), *FEW, "--json", "--allowance", "50")[1] == first
    assert run(str(lab_file), *FEW, "--json", "--allowance", "50", "--seed", "9")[1] != first


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--gpus", "6...12"], "write 8, 6..12 or 4,8,16"),
        (["--gpus", "12..6"], "the smaller number first"),
        (["--gpus", "0"], "from 1 to 1024"),
        (["--gpus", "²"], "write 8"),
        (["--gpus", "99999999999999999999"], "from 1 to 1024"),
        (["--allowance", "-5"], "write 8"),
        (["--scholars", "2"], "at least 3 scholars"),
        (["--behaviour", "nowhere.json"], "No such file"),
    ],
)
def test_what_is_not_understood_is_said(lab_file: Path, words: list[str], said: str) -> None:
    code, output = run(str(lab_file), *words)
    assert code == 2
    assert said in re.sub(r"[\s│]+", " ", output)


def test_a_behaviour_that_cannot_be_is_refused(lab_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "people.json"
    path.write_text('{"forgets": 2, "mood": "good"}', "utf-8")
    code, output = run(str(lab_file), *FEW, "--behaviour", str(path))
    assert code == 2
    assert "forgets" in output
    assert "mood" in output
    path.write_text('{"flavor_shares": {"huge": 1}}', "utf-8")
    code, output = run(str(lab_file), *FEW, "--behaviour", str(path))
    assert (code, "huge" in output) == (2, True)


def test_a_broken_lab_file_is_said_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(PROGRAM.replace("Europe/Berlin", "Europe/Bonn"), "utf-8")
    code, output = run(str(path), *FEW)
    assert code == 2
    assert "lab.yaml:" in output


def test_charts_are_of_the_size_of_what_they_show() -> None:
    drawn = bars(["a", "b"], [("x", [1.0, 2.0])], unit="h", x_title="t")
    heights = [float(one) for one in re.findall(r'height="([\d.]+)" rx="2"', drawn)]
    assert heights[1] == pytest.approx(2 * heights[0], rel=0.01)
    assert "<title>b, x: 2.0 h</title>" in drawn
    assert lines(["1"], [("x", [0.0])], unit="h", x_title="t").count("<circle") == 1
    assert 'fill-opacity="1.00"' in field([("<r>", [1.0, 4.0])], ["a", "b"], unit="%", x_title="t")
    assert "&lt;r&gt;" in field([("<r>", [0.0])], ["a"], unit="%", x_title="t")
    assert [nice_top(one) for one in (0, 0.3, 7, 20, 21, 99)] == [1, 0.5, 10, 20, 25, 100]


def test_numbers_read_as_people_say_them() -> None:
    assert [span_text(one) for one in (0, 0.4, 45, 720, 9000)] == [
        "0", "0", "45 s", "12 min", "2.5 h"]  # fmt: skip
    assert [percent_text(one) for one in (0, 0.001, 0.25, 1)] == ["0 %", "<1 %", "25 %", "100 %"]


def test_a_failing_seed_is_printed_with_how_to_see_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_search: object, seed: int, _url: str | None) -> None:
        raise BrokenLaw(7, SystemClock().now(), "tick", [])

    monkeypatch.setattr(search, "search_seed", broken)
    monkeypatch.setattr(sys, "argv", ["simulation", "--seed", "41", "--weeks", "2"])
    assert search.main() == 1
    said = capsys.readouterr().out
    assert "seed 41 breaks a law: step 7" in said
    assert "again: python -m quota.simulation --seed 41 --weeks 2 --gpus 1 --faults 0.1" in said
