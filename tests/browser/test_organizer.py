"""An organizer's day in a real browser: looks, gives, changes a rule, stops a session."""

import pytest

from tests.browser.conftest import People
from tests.browser.people import Person

pytestmark = pytest.mark.browser

PAGES = (
    "program", "program/requests", "program/people", "program/people/ada", "program/grants",
    "program/grants/bulk?section=americas", "program/hours", "program/edit/hours/americas",
    "program/calendar", "program/edit/due-dates", "program/sections", "program/sessions",
    "program/gpus", "program/report", "program/audit", "program/settings",
)  # fmt: skip


def test_an_organizer_runs_the_program(people: People) -> None:
    olga, ada = people["olga"], people["ada"]
    page = ada.open("hours")
    page.fill("#ask-hours", "2")
    page.fill("#ask-reason", "the project")
    page.get_by_role("button", name="Ask", exact=True).click()
    page.wait_for_selector("text=You asked for more hours")
    olga.open("")
    olga.page.wait_for_url("**/services/gpulab/program")
    _answer(olga)
    _give_many(olga)
    _change_hours(olga)
    for path in PAGES:
        olga.open(path)
        olga.look_around()
    page = olga.open("program/people")
    page.fill("#filter", "chen")
    assert page.locator("#people tbody tr:visible").count() == 1
    page.click("text=Sign out")
    page.wait_for_url("**/hub/login*")


def _answer(olga: Person) -> None:
    page = olga.page
    page.click("text=open requests")
    page.fill("#hours-1", "lots")
    page.get_by_role("button", name="Approve").click()
    page.wait_for_selector(".lab-fault")
    olga.look_around()
    page.fill("#hours-1", "1")
    page.get_by_role("button", name="Approve").click()
    page.wait_for_selector("text=You gave 1.00 GPU-hours of ada")


def _give_many(olga: Person) -> None:
    page = olga.page
    page.click("text=Grants")
    page.click("text=Choose people or bring a CSV")
    page.click("text=Americas")
    page.check("input[data-choose-all]")
    assert page.locator("input[name=who]:checked").count() == 5
    page.fill("#hours", "0.5")
    page.fill("#reason", "demo week")
    page.press("#reason", "Enter")
    page.wait_for_selector("text=would get 2.50 GPU-hours")
    olga.look_around()
    page.click("text=Give the hours")
    page.wait_for_selector("text=5 people got 2.50 GPU-hours")
    olga.look_around()
    with page.expect_download() as given:
        page.click("text=Download as CSV")
    assert given.value.path().read_text().count("demo week") == 5


def _change_hours(olga: Person) -> None:
    page = olga.open("program/edit/hours/americas")
    page.fill("#hours_per_week", "11")
    page.fill("#reason", "more GPUs")
    page.press("#reason", "Enter")
    page.wait_for_selector("text=The hours of 5 scholars change")
    olga.look_around()
    page.click("text=Make the change")
    page.wait_for_selector("text=americas is changed")
