"""The organizers' pages over a lab with a program, two sections and all kinds of people."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from quota.lab_file import parse_lab
from tests.api.desk import ApiDesk
from tests.api.office import OFFICE_YAML, add_people
from tests.pages.browser import open_pages


@pytest.fixture
def desk(engine: Engine, tmp_path: Path) -> Iterator[ApiDesk]:
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / "lab.yaml").write_text(OFFICE_YAML)
    with open_pages(engine, folder) as desk:
        add_people(desk)
        desk.books.books.lab = parse_lab(OFFICE_YAML, "lab.yaml")
        yield desk
        assert desk.books.books.check() == []
