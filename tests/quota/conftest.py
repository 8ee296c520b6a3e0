"""Fixtures for the rules of GPU time."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from tests.quota.books import Desk


@pytest.fixture
def desk(engine: Engine) -> Iterator[Desk]:
    desk = Desk(engine)
    yield desk
    desk.check()
