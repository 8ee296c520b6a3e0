"""What was used, by day and by session, on the page and as a file."""

import csv
import io

import pytest

from tests.api.desk import ApiDesk
from tests.pages.browser import Browser


@pytest.mark.parametrize("engine", ["sqlite", "postgres"], indirect=True)
def test_days_and_sessions_are_shown_a_page_at_a_time_and_in_the_file(
    desk: ApiDesk, ada: Browser
) -> None:
    empty = ada.get("hours/used").text
    assert "None yet." in empty
    made = [desk.books.use("ada", "quarter", minutes=10) for _ in range(27)]
    desk.books.use("ada", "cpu", minutes=10)
    page = ada.get("hours/used")
    assert page.status_code == 200
    assert page.text.count("Quarter GPU") == 25
    for text in ("Wed 25: 1.13 GPU-hours", "<b>1.13</b>", "The server ended by itself.",
                 'class="lab-chart"', "Mon 23"):  # fmt: skip
        assert text in page.text, text
    older = page.text.partition("?before=")[2].partition('"')[0]
    rest = ada.get(f"hours/used?before={older}").text
    assert rest.count("Quarter GPU") == 2
    assert "?before=" not in rest
    file = ada.get("hours/used.csv")
    assert file.headers["content-type"] == "text/csv; charset=utf-8"
    assert file.headers["content-disposition"].startswith('attachment; filename="gpu-hours-2026-')
    rows = list(csv.DictReader(io.StringIO(file.text)))
    assert [row["lease_id"] for row in rows] == [str(one) for one in reversed(made)]
    assert {row["gpu_hours"] for row in rows} == {"0.04"}
    for bad in ("x", "e30", "W10", "x" * 700):
        assert ada.get(f"hours/used?before={bad}").status_code == 422
