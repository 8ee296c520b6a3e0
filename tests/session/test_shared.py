"""Shared datasets as a session sees them, written by the operator's own command."""

import json
from pathlib import Path
from typing import Any

import pytest

from api.datasets import about, add
from tests.session.parts import part


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "shared"
    folder.mkdir()
    monkeypatch.setenv("GPULAB_DATASETS", str(folder))
    return folder


def share(shared: Path, name: str, version: str) -> None:
    source = shared.parent / "new"
    source.mkdir(exist_ok=True)
    (source / "train.csv").write_text("1,2\n")
    what = about(name=name, version=version, licence="CC0-1.0", source="made for this test")
    add(source, shared, what, lambda _count: None)


def test_a_session_finds_what_the_operator_shares(
    shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for version in ("1.9", "1.10", "1.10-rc1"):
        share(shared, "digits", version)
    share(shared, "cifar-10", "2")
    whole = part()
    assert (whole.dataset("digits") / "train.csv").read_text() == "1,2\n"
    assert whole.dataset("digits") == shared / "digits" / "1.10"
    assert whole.dataset("digits", "1.9") == shared / "digits" / "1.9"
    with pytest.raises(FileNotFoundError, match=r"shares cifar-10, digits\.$"):
        whole.dataset("imagenet")

    def run(*words: str) -> tuple[Any, str]:
        with pytest.raises(SystemExit) as end:
            part("command").main(["datasets", *words])
        return end.value.code, capsys.readouterr().out

    assert run("digits") == (0, f"{shared / 'digits' / '1.10'}\n")
    assert run("digits", "--json")[0] == 0
    listed = run()[1]
    assert "digits 1.9: 1 file(s), 4 B, CC0-1.0, in " in listed
    assert "from made for this test" in listed
    assert run("imagenet")[0] == 1


def test_a_manifest_that_cannot_be_read_hides_no_other(shared: Path) -> None:
    share(shared, "digits", "1")
    for number, text in enumerate(("", "[]", "{}", '{"name": 1}', '{"files": [1]}')):
        folder = shared / f"broken-{number}" / "1"
        folder.mkdir(parents=True)
        (folder / part("shared").MANIFEST).write_text(text)
    assert [one.name for one in part("shared").datasets()] == ["digits"]
    assert json.dumps([one.as_json() for one in part("shared").datasets()])


def test_no_folder_is_no_dataset(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("", "/no/such/folder"):
        monkeypatch.setenv("GPULAB_DATASETS", folder)
        assert part("shared").datasets() == []
    with pytest.raises(SystemExit):
        part("command").main(["datasets"])
    assert capsys.readouterr().out == "This lab shares no datasets.\n"
