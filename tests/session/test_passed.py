"""A lab that is passed: told once, kept where nobody hears it, and never a fault of the cell."""

from pathlib import Path
from typing import Any

import pytest

from tests.session.listener import Listener
from tests.session.parts import part

KEPT = ".local/state/gpulab/passed"


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.setattr(part("labs"), "_PATIENCE_S", 0)

    def passed(lab: Any) -> tuple[bool, str]:
        return part().passed(lab), capsys.readouterr().out

    return passed


def test_the_lab_knows_it_and_the_second_time_changes_nothing(
    lab: Listener, passed: Any, home: Path
) -> None:
    for _ in range(2):
        assert passed("week-4") == (True, "week-4 is passed, and the lab knows it. Well done!\n")
    assert lab.passed == ["week-4"]
    assert not (home / KEPT).exists()


def test_what_could_not_be_told_is_told_with_the_next(
    lab: Listener, passed: Any, home: Path
) -> None:
    lab.always = 503
    told, said = passed("week-3")
    assert not told
    assert said.startswith("week-3 is passed. ")
    assert "kept" in said
    assert (home / KEPT / "week-3").exists()
    lab.always = None
    assert passed("week-4")[0]
    assert lab.passed == ["week-3", "week-4"]
    assert not list((home / KEPT).iterdir())


def test_the_command_tells_what_was_kept(
    lab: Listener, passed: Any, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.always = b"nonsense"
    passed("week-1")
    lab.always = None
    for words, said in ((["left"], "3.25"), (["passed"], "Passed: week-1."),
                        (["passed", "week-2"], "week-2 is passed")):  # fmt: skip
        with pytest.raises(SystemExit) as end:
            part("command").main(words)
        assert end.value.code == 0
        assert said in capsys.readouterr().out
    assert lab.passed == ["week-1", "week-2"]
    assert not list((home / KEPT).iterdir())


def test_a_session_that_the_books_do_not_know_yet_is_told_later(
    lab: Listener, passed: Any, home: Path
) -> None:
    lab.has_lease = False
    assert "kept" in passed("week-1")[1]
    lab.has_lease = True
    assert passed("week-2")[0]
    assert lab.passed == ["week-1", "week-2"]
    assert not passed("week-9")[0], "there is no such lab"
    assert not list((home / KEPT).iterdir())


@pytest.mark.parametrize(
    "name", ["week 4", "", "../../etc", "week-4\n", None, 4, "W", "x" * 100, "\x1b[2J"]
)
def test_nothing_else_is_the_name_of_a_lab(lab: Listener, passed: Any, name: Any) -> None:
    told, said = passed(name)
    assert not told
    assert "no name of a lab" in said
    assert said[:-1].isprintable()
    assert lab.asked == []


def test_without_a_lab_and_without_a_home_it_is_a_sentence(
    passed: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert passed("week-4")[1] == (
        "week-4 is passed. (There is no lab around this notebook to tell it.)\n"
    )
    monkeypatch.setenv("GPULAB_SESSION_API", "http://127.0.0.1:1/session/v1")
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "key")
    (home / ".local").write_text("no folder")
    assert "Run this cell again later" in passed("week-4")[1]
