"""`gpulab-session`: plain sentences, JSON for programs, and exit statuses that scripts can use."""

import json
import os
import pty
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hub.process_spawner import SESSION_PART, _session_part
from tests.session.listener import NOW, Listener
from tests.session.parts import part

PROGRAM = SESSION_PART / "bin" / "gpulab-session"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            part("command").main(words)
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return run


def test_what_is_left_and_when_it_ends(lab: Listener, run: Any) -> None:
    assert run("left") == (0, (
        "3.25 GPU-hours left of 10.00 this week. The next ones come in 6 days "
        "(Sun 07 Feb 12:00 UTC).\n"
        "A quarter of a GPU: 0.50 GPU-hours so far. It ends in 2 h 13 min (14:13 UTC) at the "
        "latest.\n"), "")  # fmt: skip
    status, out, _ = run("left", "--json")
    assert (status, json.loads(out)) == (0, lab.facts())
    lab.is_gpu, lab.ends_at = False, None
    assert "A quarter of a GPU: costs nothing.\n" in run("left")[1]


def test_a_gpu_that_goes_soon_is_said(lab: Listener, run: Any) -> None:
    lab.use = {"state": "holding", "release_at": (NOW + timedelta(minutes=9)).isoformat()}
    assert "goes to others in 9 min (12:09 UTC)" in run("left")[1]
    assert run("extend") == (0, "The GPU is kept for you until 12:30 UTC.\n", "")
    lab.use = {"state": "active", "kept_until": (NOW + timedelta(minutes=30)).isoformat()}
    lab.state, lab.end_text = "stopping", "Its hours were used up."
    said = run("left")[1]
    assert "kept for you until in 30 min" not in said
    assert "kept for you for 30 min more (12:30 UTC)" in said
    assert "being stopped now. Save your work. Its hours were used up.\n" in said


def test_why_is_lines_that_sum(lab: Listener, run: Any) -> None:
    status, out, _ = run("why")
    assert (status, out) == (0, " 3.60  week 5\n-2.43  charged\n 1.17  GPU-hours left\n")
    hours = [float(line.split()[0]) for line in out.splitlines()]
    assert sum(hours[:-1]) == pytest.approx(hours[-1])
    lab.held_ms = 1_700
    assert run("why")[1].splitlines()[2:] == [
        " 1.17  balance", " 1.00  GPU-hours left, the rest is set aside for sessions",
    ]  # fmt: skip


def test_help_is_asked_for_and_taken_back(lab: Listener, run: Any, home: Path) -> None:
    (home / "week-4").mkdir()
    said = run("ask", "Why is my loss NaN?", "--path", str(home / "week-4" / "lab.ipynb"))
    assert said == (0, "Your question waits for a TA, place 2.\n", "")
    assert lab.help is not None
    assert (lab.help["message"], lab.help["path"]) == ("Why is my loss NaN?", "week-4/lab.ipynb")
    assert "place 2" in run("left")[1]
    lab.help |= {"state": "claimed", "claimed_by": "tomas"}
    assert "tomas has taken your question" in run("left")[1]
    assert run("ask", "--take-back")[0] == 0
    assert lab.help is None
    assert run("ask", "--take-back") == (1, "", "You have not asked for help.\n")


def test_the_exit_statuses_are_as_they_are_told(
    lab: Listener, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = part("client")
    monkeypatch.setattr(parts, "PATIENCE_S", 0)
    assert run("nonsense")[0] == 2
    assert run("ask")[0] == 2
    lab.may_keep = False
    assert run("extend") == (1, "", "Somebody waits for this GPU.\n")
    status, out, _ = run("extend", "--json")
    assert (status, json.loads(out)["code"]) == (1, "may_not_keep")
    lab.always = b"HTTP/1.1 200 OK\r\n\r\n{}"
    assert run("left")[0] == 3
    monkeypatch.delenv("GPULAB_SESSION_API")
    status, out, err = run("left")
    assert (status, out) == (4, "")
    assert "no session of a lab" in err
    told = run("left", "--help")[1]
    for one in part("command").EXIT_STATUSES:
        assert f"{one} " in told


@pytest.mark.parametrize("nonsense", [
    {}, {"server_time": "soon"}, {"server_time": "2027-01-01T00:00:00"},
    {"server_time": NOW.isoformat(), "balance": None}, {"server_time": NOW.isoformat(),
     "session": {"ends_at": 5}}, {"server_time": NOW.isoformat(), "session": [1]},
])  # fmt: skip
def test_nonsense_from_the_lab_is_no_traceback(lab: Listener, run: Any, nonsense: Any) -> None:
    data = json.dumps(nonsense).encode()
    lab.always = b"HTTP/1.1 200 OK\r\n\r\n" + data
    for words in (("left",), ("why",), ("extend",)):
        status, _, err = run(*words)
        assert status == 3, words
        assert "does not answer" in err


def test_sessions_as_processes_have_the_command_before_all_others() -> None:
    found = _session_part(os.environ["PATH"])
    assert shutil.which("gpulab-session", path=found["PATH"]) == str(PROGRAM)
    assert found["PATH"].endswith(os.environ["PATH"])


def _on(terminal: int, *words: str) -> tuple[int, str]:
    """Run the program itself on a terminal."""
    ended = subprocess.run([sys.executable, str(PROGRAM), *words], stdin=terminal, check=False,
                           capture_output=True, text=True, timeout=60)  # fmt: skip
    return ended.returncode, ended.stdout + ended.stderr


def test_a_script_that_ends_gives_the_gpu_back(lab: Listener, home: Path) -> None:
    """`python train.py && gpulab-session done`, as a shell runs it; not after a failure."""
    shell = {**os.environ, "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}"}
    words = "{} && gpulab-session done"
    for script, is_done in (("false", False), ("true", True)):
        subprocess.run(["sh", "-c", words.format(script)], env=shell, check=False,
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=60)  # fmt: skip
        assert lab.is_done is is_done
    assert not list(home.iterdir()), "the command leaves nothing behind"


def test_on_a_terminal_it_asks_first(lab: Listener) -> None:
    ours, theirs = pty.openpty()
    try:
        os.write(ours, b"n\n")
        status, said = _on(theirs, "done")
        assert (status, lab.is_done) == (1, False), said
        assert "you keep the GPU" in said
        os.write(ours, b"\n")
        assert "saved and stopped" in _on(theirs, "done")[1]
        assert lab.is_done
        lab.is_done = False
        assert _on(theirs, "done", "--yes")[0] == 0
        assert lab.is_done
    finally:
        os.close(ours)
        os.close(theirs)


def test_nobody_at_the_terminal_means_it(
    lab: Listener, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever wrote "done" behind a long script has gone home."""
    monkeypatch.setattr(part("command"), "_ANSWER_WITHIN_S", 0.1)
    ours, theirs = pty.openpty()
    try:
        with os.fdopen(theirs) as terminal:
            monkeypatch.setattr(sys, "stdin", terminal)
            assert run("done")[0] == 0
        assert lab.is_done
    finally:
        os.close(ours)
