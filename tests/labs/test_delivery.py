"""How labs come into a scholar's folder: what is missing, and never over what is there."""

import importlib
import logging
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from hub.process_spawner import SESSION_PART


@pytest.fixture(scope="module")
def labs() -> Iterator[ModuleType]:
    sys.path.insert(0, str(SESSION_PART))
    yield importlib.import_module("gpulab_session.delivery")
    sys.path.remove(str(SESSION_PART))


class Scholar:
    """A home, a folder of labs as an image brings it, and a session that starts."""

    def __init__(self, folder: Path, labs: ModuleType) -> None:
        self._labs = labs
        self.image, self.own = folder / "image", folder / "home" / "labs"
        self.image.mkdir()
        self.own.parent.mkdir()

    def start_session(self) -> dict[str, str]:
        self._labs.deliver(logging.getLogger("session"))
        return {path.name: path.read_text() for path in sorted(self.own.glob("*.ipynb"))}


@pytest.fixture
def scholar(tmp_path: Path, labs: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Scholar:
    one = Scholar(tmp_path, labs)
    monkeypatch.setenv("GPULAB_LABS", str(one.image))
    monkeypatch.setenv("HOME", str(one.own.parent))
    return one


def test_missing_labs_come_and_own_work_stays(scholar: Scholar) -> None:
    (scholar.image / "week-1.ipynb").write_text("one")
    (scholar.image / "notes.txt").write_text("not a lab")
    assert scholar.start_session() == {"week-1.ipynb": "one"}
    (scholar.own / "week-1.ipynb").write_text("one, worked on")
    (scholar.image / "week-2.ipynb").write_text("two")
    there = {"week-1.ipynb": "one, worked on", "week-2.ipynb": "two"}
    assert scholar.start_session() == there
    assert scholar.start_session() == there
    assert {path.name for path in scholar.own.iterdir()} == {*there, ".delivered.json"}


def test_a_newer_version_comes_once_beside_the_own_file(scholar: Scholar) -> None:
    (scholar.image / "week-4.ipynb").write_text("four")
    scholar.start_session()
    (scholar.own / "week-4.ipynb").write_text("four, worked on")
    (scholar.image / "week-4.ipynb").write_text("four, mended")
    there = {"week-4.ipynb": "four, worked on", "week-4-new.ipynb": "four, mended"}
    assert scholar.start_session() == there
    (scholar.own / "week-4-new.ipynb").write_text("worked on, too")
    assert scholar.start_session() == there | {"week-4-new.ipynb": "worked on, too"}
    (scholar.image / "week-4.ipynb").write_text("four, mended again")
    assert scholar.start_session()["week-4-new-2.ipynb"] == "four, mended again"


def test_a_file_that_was_there_before_is_kept(scholar: Scholar) -> None:
    scholar.own.mkdir()
    (scholar.own / "week-1.ipynb").write_text("my own")
    (scholar.own / ".delivered.json").write_text("[broken")
    (scholar.image / "week-1.ipynb").write_text("one")
    assert scholar.start_session() == {"week-1.ipynb": "my own", "week-1-new.ipynb": "one"}


def test_a_session_starts_where_nothing_can_be_delivered(
    scholar: Scholar, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (scholar.image / "week-1.ipynb").write_text("one")
    scholar.own.write_text("a file, no folder")
    assert scholar.start_session() == {}
    assert "could not be delivered" in caplog.text
    monkeypatch.setenv("GPULAB_LABS", "/no/such/place")
    assert scholar.start_session() == {}


def test_a_lab_that_appears_meanwhile_is_not_written_over(
    scholar: Scholar, labs: ModuleType
) -> None:
    scholar.own.mkdir()
    (scholar.image / "week-1.ipynb").write_text("one")
    (scholar.own / "week-1.ipynb").write_text("saved a moment ago")
    labs._copy(scholar.image / "week-1.ipynb", scholar.own / "week-1.ipynb")
    assert (scholar.own / "week-1.ipynb").read_text() == "saved a moment ago"
    assert len(list(scholar.own.iterdir())) == 1


def test_a_home_that_is_full_gets_no_half_lab(
    scholar: Scholar, labs: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    (scholar.image / "week-1.ipynb").write_text("one" * 100_000)
    (scholar.image / "week-2.ipynb").write_text("two")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        labs.deliver(logging.getLogger("session"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert "could not be delivered" in caplog.text
    assert not list(scholar.own.iterdir())
    assert scholar.start_session()["week-2.ipynb"] == "two"
