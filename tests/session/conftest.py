"""The part of a session on Python's path, a lab that answers, and no lab."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.process_spawner import SESSION_PART
from tests.session.listener import KEY, Listener, serving


@pytest.fixture(scope="session", autouse=True)
def _on_the_path() -> Iterator[None]:
    sys.path.insert(0, str(SESSION_PART))
    yield
    sys.path.remove(str(SESSION_PART))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, and no lab around it."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    for name in ("GPULAB_SESSION_API", "GPULAB_DATASETS", "JUPYTERHUB_API_TOKEN",
                 "JUPYTERHUB_ROOT_DIR", "XDG_STATE_HOME"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    """A lab around the session."""
    listener = Listener()
    with serving(listener) as address:
        monkeypatch.setenv("GPULAB_SESSION_API", address)
        monkeypatch.setenv("JUPYTERHUB_API_TOKEN", KEY)
        yield listener
