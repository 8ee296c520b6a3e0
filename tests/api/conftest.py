"""Fixtures for the service."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from quota.lab_file import parse_lab
from tests.api.desk import ApiDesk, open_service
from tests.api.office import OFFICE_YAML, add_people


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


@pytest.fixture
def office(engine: Engine, tmp_path: Path) -> Iterator[ApiDesk]:
    """The service over a lab with a program, and with all kinds of people."""
    (tmp_path / "lab.yaml").write_text(OFFICE_YAML)
    with open_service(engine, tmp_path) as desk:
        add_people(desk)
        desk.books.books.lab = parse_lab(OFFICE_YAML, "lab.yaml")
        yield desk
        desk.books.check()
