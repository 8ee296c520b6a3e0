"""The report of a week and who takes part, on the organizers' pages."""

import pytest

from tests.api.desk import ApiDesk
from tests.pages.browser import Browser

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def test_the_report_is_a_page_and_a_file(desk: ApiDesk, olga: Browser) -> None:
    desk.books.use("ada", "whole", hours=1)
    page = olga.get("program/report")
    assert page.status_code == 200
    assert "GPU-hours were used" in page.text
    assert "1.00" in page.text
    assert "Nobody was refused." in page.text
    file = olga.get("program/report.html?week=1")
    assert file.headers["content-disposition"].startswith('attachment; filename="week-1')
    assert "<svg" in file.text
    assert olga.get("program/report?week=9999").status_code == 422
    assert olga.get("program/report?week=99").status_code == 404


def test_who_takes_part_is_a_table_and_csv(desk: ApiDesk, olga: Browser, ada: Browser) -> None:
    desk.books.use("ada", "whole", hours=1)
    page = olga.get("program/participation")
    assert page.status_code == 200
    assert "active, 1.00 h" in page.text
    rows = olga.get("program/participation.csv?section=utc").text.splitlines()
    assert rows[0].startswith("section,scholar,week 1,")
    assert any(row.startswith("utc,ada,") for row in rows)
    assert not any("berlin" in row for row in rows)
    assert olga.get("program/participation?section=nowhere").status_code == 404
    own = ada.get("hours/used").text
    assert "Weeks of the program" in own
    assert "1 active week;" in own or "1 active week." in own
    assert "blaise" not in own
