"""The labs that need no PyTorch run here from top to bottom; a wrong one stops at its check."""

from pathlib import Path

from tests.labs.notebooks import BROKEN, LIGHT, broken, path_of, run_here


def test_the_light_labs_pass_their_own_checks(tmp_path: Path) -> None:
    runs = run_here([path_of(week) for week in LIGHT], tmp_path)
    assert len(runs) == len(LIGHT)
    for run in runs:
        assert (run.error, run.complaints) == ("", "")
        assert run.figures >= 2
        assert "All checks passed.\n" in run.printed


def test_a_lab_that_computes_wrongly_stops_at_its_check(tmp_path: Path) -> None:
    wrong = tmp_path / "week-2.ipynb"
    wrong.write_text(broken(2))
    (run,) = run_here([wrong], tmp_path)
    assert run.error.startswith("AssertionError")
    assert BROKEN[2][2] in run.error
    assert "All checks passed." not in run.printed
