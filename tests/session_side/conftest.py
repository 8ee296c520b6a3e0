"""The session listener over ASGI beside the real service, on both databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.session_side.side import Side, open_side


@pytest.fixture
def side(engine: Engine, tmp_path: Path) -> Iterator[Side]:
    with open_side(engine, tmp_path / "lab") as side:
        yield side
        side.desk.books.check()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
