"""The week of a section and its calendar addresses, as scholars see them."""

import pytest

from quota.passing import pass_lab
from tests.api.desk import ApiDesk
from tests.api.office import OFFICE_YAML
from tests.pages.browser import Browser, forms_of
from tests.quota.books import make_lab

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)

BLACKOUT = """
blackouts:
  move: {title: New power supply, starts: 2026-11-28 08:00, ends: 2026-11-28 12:00, time_zone: UTC}
"""


def test_the_week_says_what_is_due_and_when_people_meet(desk: ApiDesk, ada: Browser) -> None:
    desk.client.app.state.books.lab = make_lab(OFFICE_YAML + BLACKOUT)  # type: ignore[attr-defined]
    page = ada.get("hours/week").text
    for text in ("This week: week 1, Networks", "Next: week 2, Scale", "Paper review",
                 "4.00 extra GPU-hours", "Friday, 27 November at 23:59",
                 "Co-working hours", "Wednesday, 25 November at 17:00", ">19:00<",
                 "Office hours of tomas", "New power supply"):  # fmt: skip
        assert text in page, text


def test_labs_passed_are_shown_to_their_scholar_and_to_organizers(
    desk: ApiDesk, ada: Browser, olga: Browser
) -> None:
    assert "0 of 9." in ada.get("hours/week").text.partition("Labs passed")[2]
    desk.books.use("ada", "cpu", minutes=5)
    pass_lab(desk.client.app.state.books, "ada", "week-2")  # type: ignore[attr-defined]
    for page in (ada.get("hours/week"), olga.get("program/people/ada")):
        shown = page.text.partition("Labs passed")[2]
        assert "<b>week-2</b>" in shown
        assert "Wednesday, 25 November at 12:05" in shown
    desk.client.app.state.books.lab = make_lab(OFFICE_YAML)  # type: ignore[attr-defined]
    assert "1 of 3." in ada.get("hours/week").text.partition("Labs passed")[2]
    assert "week-2" not in olga.get("program/people/blaise").text


def test_a_calendar_address_is_shown_once_works_and_is_revoked(
    desk: ApiDesk, ada: Browser, tomas: Browser, olga: Browser
) -> None:
    form = ada.form("hours/week", "hours/calendar")
    made = ada.post(form.action, form.filled())
    address = made.text.partition('readonly value="')[2].partition('"')[0]
    assert address.startswith("http://gpulab--service.lab.localhost:8000/services/gpulab/feeds/")
    feed = ada.client.get(address)
    assert (feed.status_code, feed.text[:15]) == (200, "BEGIN:VCALENDAR")
    again = ada.post(form.action, form.filled())
    assert "is shown only once" in again.text
    assert "/feeds/" not in ada.get("hours/week").text
    revoke = ada.form("hours/week", "/revoke")
    foreign = tomas.form("hours", "sign-out").filled()
    assert tomas.post(revoke.action, foreign).status_code == 404
    assert ada.post(revoke.action, revoke.filled()).status_code == 303
    assert "leads nowhere from now on" in ada.get("hours/week").text
    assert ada.client.get(address).status_code == 404
    # Somebody without a section has no calendar, and says so.
    assert "You are in no section" in olga.get("hours/week").text
    assert [one.action for one in forms_of(olga.get("hours/week"))] == [
        "/services/gpulab/sign-out"]  # fmt: skip
    mine = olga.form("hours/week", "sign-out").filled()
    assert olga.post(form.action, [*mine, *form.filled()[1:]]).status_code == 404


def test_too_many_addresses_are_refused_on_the_page(desk: ApiDesk, ada: Browser) -> None:
    for _ in range(10):
        assert ada.send("hours/week", "hours/calendar").status_code == 200
    refused = ada.send("hours/week", "hours/calendar")
    assert refused.status_code == 422
    assert "There are 10 calendar addresses already; revoke one." in refused.text
    no_id = ada.form("hours/week", "hours/calendar")
    assert ada.post(no_id.action, no_id.filled(id="x")).status_code == 422
