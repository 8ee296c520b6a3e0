"""What may be in the repository: no machine's paths, no download hosts, locks that fit."""

import json
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.architecture import code

# Built from parts, so that this file is not its own finding.
MACHINE_PATHS = re.compile(r"(?<![\w.$}])/(" + "|".join(["wor" + "k", "roo" + "t"]) + r")/[a-z.]")
DOWNLOAD_HOSTS = re.compile(
    r"https?://[^\s/\"']*(" + "|".join(["pyp" + "i", "npm" + "js", "artifac" + "tory",
                                        "nex" + "us", "mirr" + "or", "regis" + "try"]) + ")",
    re.IGNORECASE,
)  # fmt: skip
SECRETS = re.compile(r"BEGIN [A-Z ]*PRIVATE KEY|\bghp_[A-Za-z0-9]{20}|\bAKIA[A-Z0-9]{16}")
REQUIREMENTS = code.ROOT / "requirements"
IMAGE_LOCKS = ["images/base/requirements", "images/pytorch/torch", "images/pytorch/requirements",
               "images/huggingface/requirements"]  # fmt: skip
LOCKS = ["requirements/lab", "requirements/dev", "requirements/node",
         "images/labextension/requirements", *IMAGE_LOCKS]  # fmt: skip


@pytest.mark.parametrize("pattern", [MACHINE_PATHS, DOWNLOAD_HOSTS, SECRETS])
def test_no_file_tells_of_the_machine_it_was_made_on(pattern: re.Pattern[str]) -> None:
    found = []
    for path in code.tracked():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [f"{code.shown(path)}: {match[0]}" for match in pattern.finditer(text)]
    assert not found


def _pinned(lock: Path) -> dict[str, str]:
    text = lock.read_text()
    return dict(re.findall(r"^([a-z0-9.-]+)(?:\[[^\]]+\])?==([^ \\\n]+)", text, re.MULTILINE))


def _wanted(path: Path) -> list[Requirement]:
    lines = [line.split("#")[0].strip() for line in path.read_text().splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("-r")]


@pytest.mark.parametrize("name", LOCKS)
def test_locks_fit_what_is_wanted(name: str) -> None:
    pinned = _pinned(code.ROOT / f"{name}.txt")
    for wanted in _wanted(code.ROOT / f"{name}.in"):
        key = re.sub(r"[._]", "-", wanted.name.lower())
        assert key in pinned, f"{wanted.name} is not locked; run make lock"
        assert wanted.specifier.contains(pinned[key]), f"{wanted}: locked at {pinned[key]}"


@pytest.mark.parametrize("name", LOCKS)
def test_everything_locked_has_a_hash_and_no_host(name: str) -> None:
    text = (code.ROOT / f"{name}.txt").read_text()
    for block in re.split(r"\n(?=[a-z0-9])", text):
        if "==" in block.splitlines()[0]:
            assert "--hash=sha256:" in block, block.splitlines()[0]
    assert not re.search(r"--(index|extra-index|find-links|trusted-host)", text)


def test_the_tests_run_on_what_the_lab_runs_on() -> None:
    lab, dev = _pinned(REQUIREMENTS / "lab.txt"), _pinned(REQUIREMENTS / "dev.txt")
    assert {name: dev.get(name) for name in lab} == lab


@pytest.mark.parametrize("name", IMAGE_LOCKS)
def test_sessions_have_the_versions_of_the_hub(name: str) -> None:
    lab, image = _pinned(REQUIREMENTS / "lab.txt"), _pinned(code.ROOT / f"{name}.txt")
    assert {one: image[one] for one in image if lab.get(one, image[one]) != image[one]} == {}


def test_an_image_adds_only_what_the_images_below_have_not() -> None:
    names = [one for name in IMAGE_LOCKS for one in _pinned(code.ROOT / f"{name}.txt")]
    assert sorted(one for one in set(names) if names.count(one) > 1) == []


@pytest.mark.parametrize(
    ("lock", "has"),
    [("package-lock.json", "configurable-http-proxy"),
     ("images/labextension/package-lock.json", "esbuild")],
)  # fmt: skip
def test_the_locks_of_npm_name_no_host(lock: str, has: str) -> None:
    packages = json.loads((code.ROOT / lock).read_text())["packages"]
    assert any(name.endswith(has) for name in packages)
    for name, one in packages.items():
        assert "resolved" not in one, name
        assert not name or "integrity" in one, name


def test_every_folder_of_tests_is_run() -> None:
    script = (code.ROOT / "scripts/test.sh").read_text()
    folders = {path.parent.name for path in (code.ROOT / "tests").glob("*/test_*.py")}
    assert [name for name in sorted(folders) if f"tests/{name}" not in script] == []
