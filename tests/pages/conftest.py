"""The pages over ASGI, on both databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.api.desk import ApiDesk
from tests.pages.browser import Browser, browser_of, open_pages


@pytest.fixture
def desk(engine: Engine, tmp_path: Path) -> Iterator[ApiDesk]:
    with open_pages(engine, tmp_path / "lab") as desk:
        yield desk


@pytest.fixture
def ada(desk: ApiDesk) -> Browser:
    return browser_of(desk, "token-ada")


@pytest.fixture
def tomas(desk: ApiDesk) -> Browser:
    return browser_of(desk, "token-tomas")


@pytest.fixture
def olga(desk: ApiDesk) -> Browser:
    return browser_of(desk, "token-olga")
