"""Fixtures for the rules of GPU time."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.quota.books import Desk
from tests.quota.memory import engine_in_memory


@pytest.fixture
def desk(engine: Engine) -> Iterator[Desk]:
    desk = Desk(engine)
    yield desk
    desk.check()


@pytest.fixture
def memory_engine(tmp_path: Path) -> Iterator[Engine]:
    with engine_in_memory(tmp_path) as engine:
        yield engine
