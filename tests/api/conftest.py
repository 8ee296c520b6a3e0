"""Fixtures for the service."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.api.desk import ApiDesk, open_service


@pytest.fixture
def service(engine: Engine, tmp_path: Path) -> Iterator[ApiDesk]:
    with open_service(engine, tmp_path) as desk:
        yield desk
        desk.books.check()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on the settings of whoever runs it."""
    for name in os.environ:
        if name.startswith("GPULAB_"):
            monkeypatch.delenv(name)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
