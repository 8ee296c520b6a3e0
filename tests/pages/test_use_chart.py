"""A session's GPU use as numbers for the live chart, as a picture and as a table."""

import json
import re
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from api.pages.use_chart import use_shown
from quota.gpu_use import SessionUse
from tests.pages.browser import Browser


def use(*minutes: int | None, at: str = "12:41:30") -> SessionUse:
    seen_at = datetime.fromisoformat(f"2026-11-25T{at}+00:00")
    return SessionUse(seen_at=seen_at, busy_percent=minutes[-1], held_mib=900, minutes=minutes)


def test_the_script_gets_every_minute_and_gaps_as_gaps() -> None:
    shown = use_shown(use(0, None, 100, 63), "Europe/Berlin")
    assert shown is not None
    begins = datetime(2026, 11, 25, 12, 38, tzinfo=UTC)
    assert json.loads(shown.live) == {
        "from_s": int(begins.timestamp()),
        "percents": [0, None, 100, 63],
        "zone": "Europe/Berlin",
    }
    assert shown.text == "54 % on average over 4 min"


def test_the_picture_is_broken_at_gaps_and_a_lone_minute_is_a_dot() -> None:
    shown = use_shown(use(0, None, 100, 100), "UTC")
    assert shown is not None
    path = re.search(r'class="lab-curve" d="([^"]+)"', shown.picture)
    assert path
    assert re.sub(r"[\d. ]+", "", path[1]) == "MhMhLh"
    assert 'aria-label="GPU use by the minute: 67 % on average over 4 min"' in shown.picture
    alone = use_shown(use(50), "UTC")
    assert alone is not None
    assert alone.text == "50 % on average over a minute"
    assert 'd="M46.0 102.0h0"' in alone.picture


@pytest.mark.parametrize(
    ("zone", "labels"),
    [("UTC", ["12:00", "12:15", "12:30"]), ("Asia/Kolkata", ["17:30", "17:45", "18:00"]),
     ("America/New_York", ["07:00", "07:15", "07:30"])],
)  # fmt: skip
def test_times_are_round_and_those_of_the_reader(zone: str, labels: list[str]) -> None:
    hundred = use_shown(use(*[40] * 100), zone)
    assert hundred is not None
    found = re.findall(r'text-anchor="middle">([^<]+)<', hundred.picture)
    assert found[-3:] == labels
    assert len(found) <= 8


def test_the_table_has_ten_minutes_to_a_row() -> None:
    shown = use_shown(use(*[10] * 2, *[None] * 10, *[30, 50], at="12:41:00"), "UTC")
    assert shown is not None
    assert shown.rows == (("12:28", "12:30", 10), ("12:30", "12:40", None), ("12:40", "12:42", 40))


@pytest.mark.parametrize("one", [None, use(None), use(None, None)])
def test_what_was_never_measured_is_no_chart(one: SessionUse | None) -> None:
    assert use_shown(one, "UTC") is None


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_only_the_page_with_the_chart_loads_what_draws_it(engine: Engine, ada: Browser) -> None:
    assert engine.dialect.name == "sqlite"
    for path, loads in (("hours", True), ("hours/week", False), ("hours/help", False)):
        page = ada.get(path)
        assert page.status_code == 200
        assert ("uplot" in page.text, "live.js" in page.text) == (loads, loads), path
