"""Reserving ahead from a scholar's side, on their own clocks, and on the organizers' calendar."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from quota.lab import Lab
from quota.reserving_ahead import Reserving
from tests.api.desk import ApiDesk
from tests.pages.browser import Browser, browser_of
from tests.quota.books import LAB_YAML, make_lab

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
HERE = "hours/reserve"


@pytest.fixture(autouse=True)
def rules(desk: ApiDesk) -> None:
    """Scholars may reserve; ada's clocks are Berlin's."""
    text = LAB_YAML.replace("time_zone: UTC", "time_zone: Europe/Berlin")
    follow(desk, make_lab(f"{text}\nreservations: {{most_open: 2}}\n"))


def follow(desk: ApiDesk, lab: Lab) -> None:
    for books in (desk.books.books, desk.app.state.books):
        books.lab = lab


def first(desk: ApiDesk, who: str = "ada") -> datetime:
    return Reserving(desk.books.books).newest(who, most=1)[0].starts_at


def test_a_scholar_reserves_on_their_own_clocks_and_gives_it_back(
    desk: ApiDesk, ada: Browser, olga: Browser
) -> None:
    asked = ada.send(HERE, HERE, flavor="whole", starts="2026-11-26T15:00", minutes="90")
    assert asked.status_code == 303, asked.text
    assert first(desk) == datetime(2026, 11, 26, 14, tzinfo=UTC)
    page = ada.get(HERE).text
    assert "It is reserved for you from Thursday, 26 November at 15:00 (CET) on." in page
    assert "Thursday, 26 November at 15:00</time> to " in page
    assert "16:30</time>" in page
    calendar = olga.get("program/calendar").text
    assert "Reserved ahead" in browser_of(desk, "token-tomas").get("section/utc/people/ada").text
    assert "Whole GPU" in calendar
    assert "14:00 (UTC)" in calendar
    mine = ada.form(HERE, "/withdraw")
    theirs = browser_of(desk, "token-blaise").form("hours", "sign-out").filled()
    assert browser_of(desk, "token-blaise").post(mine.action, theirs).status_code == 403
    for _again in range(2):
        assert ada.post(mine.action, mine.filled()).status_code == 303
    assert "taken back" in ada.get(HERE).text
    assert "Whole GPU" not in olga.get("program/calendar").text


def test_a_time_that_the_clocks_skip_or_repeat(desk: ApiDesk) -> None:
    desk.books.at("2027-03-27T12:00")
    ada = browser_of(desk, "token-ada")
    skipped = ada.send(HERE, HERE, flavor="whole", starts="2027-03-28T02:30", minutes="60")
    assert skipped.status_code == 422
    assert "the clocks skip this time" in skipped.text
    assert 'value="2027-03-28T02:30"' in skipped.text
    after = ada.send(HERE, HERE, flavor="whole", starts="2027-03-28T03:00", minutes="60")
    assert after.status_code == 303
    assert first(desk) == datetime(2027, 3, 28, 1, tzinfo=UTC)
    desk.books.at("2027-10-30T12:00")
    ada = browser_of(desk, "token-ada")
    twice = ada.send(HERE, HERE, flavor="whole", starts="2027-10-31T02:30", minutes="180")
    assert twice.status_code == 303
    assert first(desk) == datetime(2027, 10, 31, 0, 30, tzinfo=UTC)
    page = ada.get(HERE).text
    assert "02:30 (CEST)" in page
    assert "04:30</time>" in page, "three hours, one of them twice"


WRONG = [
    ({"starts": ""}, "Write a day and a time"),
    ({"starts": "soon"}, "Write a day and a time"),
    ({"starts": "0001-01-01T00:00"}, "Write a day and a time"),
    ({"starts": "9999-12-31T23:59"}, "Write a day and a time"),
    ({"starts": "<b>" * 99}, "Write a day and a time"),
    ({"starts": "2026-11-25T13:30"}, "at least 1 h from now"),
    ({"starts": "2026-12-25T13:30"}, "within the next 7 days"),
    ({"minutes": ""}, "Write a whole number"),
    ({"minutes": "-60"}, "Write a whole number"),
    ({"minutes": "20"}, "Choose 30 to 180 minutes"),
    ({"minutes": "10000"}, "Choose 30 to 180 minutes"),
    ({"flavor": "cpu"}, "Only a flavor with a GPU"),
    ({"flavor": "<i>x</i>"}, "Only a flavor with a GPU"),
]


def test_what_is_wrong_stands_at_its_field(desk: ApiDesk, ada: Browser) -> None:
    for typed, said in WRONG:
        wish = {"flavor": "whole", "starts": "2026-11-26T15:00", "minutes": "60"} | typed
        reply = ada.send(HERE, HERE, **wish)
        assert reply.status_code == 422, typed
        (field,) = typed
        assert f'id="reserve-{field}-fault" role="alert">' in reply.text, typed
        assert said in reply.text, typed
        assert "<i>x</i>" not in reply.text
    assert Reserving(desk.books.books).coming() == []


def test_what_is_taken_is_said_and_a_form_sent_twice_reserves_once(
    desk: ApiDesk, ada: Browser, olga: Browser
) -> None:
    form = ada.form(HERE, HERE)
    pairs = form.filled(flavor="whole", starts="2026-11-26T15:00", minutes="60")
    assert [ada.post(form.action, pairs).status_code for _ in range(2)] == [303, 303]
    assert len(Reserving(desk.books.books).coming()) == 1
    again = [*((k, v) for k, v in pairs if k != "id"), ("id", str(uuid4()))]
    assert "You have reserved a part of this time" in ada.post(form.action, again).text
    wish = {"flavor": "whole", "starts": "2026-11-26T15:30", "minutes": "60"}
    assert browser_of(desk, "token-blaise").send(HERE, HERE, **wish).status_code == 303
    desk.hub.tokens["token-chen"] = desk.hub.tokens["token-blaise"] | {"name": "chen"}
    full = browser_of(desk, "token-chen").send(HERE, HERE, **wish)
    assert full.status_code == 422
    assert "From Thursday, 26 November at 16:00 (Europe/Berlin) on one has." in full.text
    assert "You are in no section" in olga.get(HERE).text
    follow(desk, make_lab())
    assert "This lab takes no reservations" in ada.get(HERE).text
    assert "Scholars cannot reserve anything" in olga.get("program/calendar").text
