"""The part of a session on Python's path, a lab that answers, and no lab."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.process_spawner import SESSION_PART
from tests.session.listener import KEY, Listener, serving


@pytest.fixture(scope="session", autouse=True)
def _on_the_path() -> Iterator[None]:
    sys.path.insert(0, str(SESSION_PART))
    yield
    sys.path.remove(str(SESSION_PART))


@pytest.fixture(autouse=True)
def _signals_as_on_a_terminal() -> Iterator[None]:
    """What runs in the background, as tests may, ignores them, and so does what it starts."""
    on_a_terminal: dict[int, Any] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {one: signal.signal(one, how) for one, how in on_a_terminal.items()}
    yield
    for one, how in before.items():
        signal.signal(one, how)


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
