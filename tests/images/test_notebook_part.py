"""What a browser loads of the lab: small, whole, with tests of its own in TypeScript."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from jupyterlab_server.config import get_federated_extensions

from hub.process_spawner import SESSION_PART

BUILT = SESSION_PART / "built" / "labextensions"
MOST_BYTES = 60_000


@pytest.fixture(scope="module")
def path_with_node() -> str:
    """The machine's Node.js, or the one that the set-up has put beside Python."""
    beside = str(Path(sys.executable).parent)
    return f"{os.environ['PATH']}:{beside}"


def test_it_is_small() -> None:
    files = [one for one in BUILT.rglob("*") if one.is_file()]
    assert files, "scripts/build-labextension.sh has not run"
    size = sum(len(gzip.compress(one.read_bytes())) for one in files)
    assert size <= MOST_BYTES, size


def test_jupyterlab_finds_it_and_can_load_it() -> None:
    found = get_federated_extensions([str(BUILT)])["gpulab-session"]
    built = found["jupyterlab"]["_build"]
    assert (Path(found["ext_path"]) / built["load"]).is_file()
    assert built["extension"] == "./extension"
    assert set(found["dependencies"]) >= {"@jupyterlab/apputils", "@lumino/widgets"}


def test_what_it_takes_from_jupyterlab_is_shared_by_jupyterlab() -> None:
    found = find_spec("jupyterlab")
    assert found is not None
    assert found.origin is not None
    core = json.loads((Path(found.origin).parent / "staging" / "package.json").read_text())
    needed = set(get_federated_extensions([str(BUILT)])["gpulab-session"]["dependencies"])
    assert needed <= set(core["jupyterlab"]["singletonPackages"])


def test_its_own_tests_pass(path_with_node: str) -> None:
    vitest = SESSION_PART / "node_modules" / ".bin" / "vitest"
    done = subprocess.run(
        [vitest, "run"], cwd=SESSION_PART, text=True, capture_output=True, timeout=120,
        check=False, env={**os.environ, "PATH": path_with_node, "CI": "true"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_bundle_is_made_anew_alike(path_with_node: str, tmp_path: Path) -> None:
    copy = tmp_path / "labextension"
    shutil.copytree(SESSION_PART, copy, ignore=shutil.ignore_patterns("node_modules", "built"))
    (copy / "node_modules").symlink_to(SESSION_PART / "node_modules")
    subprocess.run(["node", "build.mjs"], cwd=copy, check=True, capture_output=True, timeout=60,
                   env={**os.environ, "PATH": path_with_node})  # fmt: skip
    made = {one.name for one in (copy / "built").rglob("remoteEntry.*")}
    assert made == {one.name for one in BUILT.rglob("remoteEntry.*")}
