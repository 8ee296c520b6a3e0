"""`gpulab datasets`: what is shared is whole, never changes, and is checked byte by byte."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from api import datasets
from tests.api.test_cli import Shell, bare  # noqa: F401 - a fixture

WORDS = ("--name", "digits", "--version", "1.0", "--licence", "CC0-1.0", "--source", "made here")


@pytest.fixture
def shell(bare: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:  # noqa: F811 - the fixture
    (bare.folder / "new" / "more").mkdir(parents=True)
    (bare.folder / "new" / "train.csv").write_bytes(b"1,2\n" * 1000)
    (bare.folder / "new" / "more" / "test set.csv").write_bytes(b"")
    (bare.folder / "shared").mkdir()
    monkeypatch.setenv("GPULAB_DATASETS_DIR", str(bare.folder / "shared"))
    return bare


def added(shell: Shell) -> Path:
    status, said = shell.run("datasets", "add", "new", *WORDS)
    assert status == 0, said
    assert "digits 1.0 is shared: 2 file(s)" in said
    return shell.folder / "shared" / "digits" / "1.0"


def test_a_folder_is_shared_listed_and_verified(shell: Shell) -> None:
    old = os.umask(0o077)
    try:
        place = added(shell)
    finally:
        os.umask(old)
    manifest = json.loads((place / datasets.MANIFEST).read_text())
    assert [(one["path"], one["bytes"]) for one in manifest["files"]] == [
        ("more/test set.csv", 0), ("train.csv", 4000),
    ]  # fmt: skip
    for one in (place.parent, place, *place.rglob("*")):
        assert one.stat().st_mode & 0o777 == (0o755 if one.is_dir() else 0o644), "all can read it"
    status, said = shell.run("datasets", "list")
    assert said.splitlines()[1].split() == ["digits", "1.0", "2", "0.0", "CC0-1.0", "made", "here"]
    listed = json.loads(shell.run("datasets", "list", "--json")[1])["datasets"]
    assert [(one["name"], one["bytes"]) for one in listed] == [("digits", 4000)]
    status, said = shell.run("datasets", "verify")
    assert (status, said) == (0, "1 dataset(s) with 2 file(s) are as their manifests say.\n")


def test_the_same_version_again_changes_nothing_and_another_is_refused(shell: Shell) -> None:
    place = added(shell)
    before = (place / datasets.MANIFEST).stat().st_mtime_ns
    added(shell)
    (shell.folder / "new" / "train.csv").write_text("other")
    status, said = shell.run("datasets", "add", "new", *WORDS)
    assert status == 1
    assert "A version never changes" in said
    assert (place / datasets.MANIFEST).stat().st_mtime_ns == before
    assert shell.run("datasets", "verify")[0] == 0
    assert os.listdir(shell.folder / "shared") == ["digits"]  # noqa: PTH208 - hidden ones, too


def test_each_way_to_differ_is_found(shell: Shell) -> None:
    place = added(shell)
    (place / "train.csv").write_bytes(b"1,3\n" * 1000)
    (place / "more" / "test set.csv").unlink()
    (place / "more" / "test set.csv").symlink_to("/etc/passwd")
    (place / "extra").write_text("x")
    (place.parents[1] / ".adding-x").mkdir()
    status, said = shell.run("datasets", "verify", "digits")
    assert status == 1
    assert said.splitlines() == [
        f"{place.parents[1] / '.adding-x'} is left of an addition that was broken off; delete it",
        "digits 1.0: extra is not in the manifest",
        "digits 1.0: more/test set.csv is missing, or is no plain file",
        "digits 1.0: train.csv has changed",
    ]
    (place / "train.csv").write_bytes(b"1")
    assert "train.csv is 1 bytes, not 4000" in shell.run("datasets", "verify")[1]


def test_what_cannot_be_shared_is_said_before_anything_is_copied(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = shell.folder / "new"

    def refusal(*words: str) -> str:
        status, said = shell.run("datasets", "add", *words)
        assert status == 1, said
        assert not list((shell.folder / "shared").iterdir())
        return said

    assert "There is no folder" in refusal("none", *WORDS)
    assert "name: String should match" in refusal("new", "--name", "../x", *WORDS[2:])
    assert "licence: String should match" in refusal("new", *WORDS, "--licence", "a\nb")
    (new / "link").symlink_to("/etc/passwd")
    assert "is a link" in refusal("new", *WORDS)
    (new / "link").unlink()
    (new / "folder").symlink_to("/etc")
    assert "is a link" in refusal("new", *WORDS)
    (new / "folder").unlink()
    (new / datasets.MANIFEST).write_text("{}")
    assert "cannot be shared under this name" in refusal("new", *WORDS)
    (new / datasets.MANIFEST).unlink()
    usage: Any = type("Usage", (), {"free": 10})
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _folder: usage)
        assert "has 10 bytes free" in refusal("new", *WORDS)
    (shell.folder / "empty").mkdir()
    assert "There is no file" in refusal("empty", *WORDS)
    assert "There is no folder" in refusal("new", *WORDS, "--dir", str(shell.folder / "none"))


def test_a_copy_that_is_broken_off_leaves_nothing(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_number: int) -> None:
        raise OSError(28, "No space left on device", "train.csv")

    monkeypatch.setattr(os, "fsync", full)
    status, said = shell.run("datasets", "add", "new", *WORDS)
    assert (status, "No space left on device" in said) == (1, True)
    assert not list((shell.folder / "shared").iterdir())


@pytest.mark.parametrize("text", ["", "{}", '{"format": 2}', '[{"name": "digits"}]'])
def test_a_broken_manifest_is_named(shell: Shell, text: str) -> None:
    place = added(shell)
    (place / datasets.MANIFEST).write_text(text)
    for words in (("list",), ("verify",)):
        status, said = shell.run("datasets", *words)
        assert status == 1
        assert f"{place / datasets.MANIFEST} is no manifest" in said


def test_a_manifest_leads_out_of_its_folder_nowhere(shell: Shell) -> None:
    """Whoever can write the folder may not have other files read for them."""
    place = added(shell)
    body = json.loads((place / datasets.MANIFEST).read_text())
    for path in ("../../../lab.yaml", str(shell.folder / "lab.yaml")):
        body["files"][0]["path"] = path
        (place / datasets.MANIFEST).write_text(json.dumps(body))
        assert f"{path} is missing, or is no plain file" in shell.run("datasets", "verify")[1]
