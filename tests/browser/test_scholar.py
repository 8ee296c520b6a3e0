"""A scholar's story in a real browser, from log in to log out, over hub and service."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from playwright.sync_api import Page

from lab.trial.running import RunningLab
from tests.browser.conftest import People
from tests.browser.people import Person

pytestmark = pytest.mark.browser


def test_a_scholar_asks_for_hours_and_help_and_sees_the_week(people: People) -> None:
    ada = people["ada"]
    page = ada.page
    ada.look_around()
    page.click("text=My hours >> nth=0")
    page.wait_for_url("**/services/gpulab/hours")
    assert page.inner_text(".lab-big") == "10.00 GPU-hours"
    page.fill("#ask-hours", "many")
    page.fill("#ask-reason", "the project")
    page.get_by_role("button", name="Ask", exact=True).click()
    page.wait_for_selector(".lab-fault")
    assert page.input_value("#ask-reason") == "the project"
    ada.look_around()
    page.fill("#ask-hours", "2")
    page.press("#ask-hours", "Enter")
    page.wait_for_selector("text=You asked for more hours")
    page.get_by_role("link", name="The week").click()
    page.get_by_role("button", name="Make an address").click()
    page.wait_for_selector("#address")
    ada.look_around()
    page.get_by_role("link", name="Back to the week").click()
    page.wait_for_selector("text=Your addresses")
    ada.look_around()
    page.get_by_role("link", name="Help", exact=True).click()
    page.fill("#ask-message", "The loss is NaN")
    page.fill("#ask-path", "week1/lab.ipynb")
    page.get_by_role("button", name="Ask for help").click()
    page.wait_for_selector("text=You are next.")
    ada.look_around()
    _reserve(ada)
    page.get_by_role("link", name="News", exact=True).click()
    page.get_by_label("It is your turn: Mail").check()
    page.get_by_role("button", name="Save").click()
    page.wait_for_selector("text=Your choices hold from now on.")
    assert page.get_by_label("It is your turn: Mail").is_checked()
    ada.look_around()


def _reserve(ada: Person) -> None:
    """Reserve a GPU for tomorrow, and give it back."""
    page = ada.open("hours/reserve")
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    page.fill("#reserve-starts", f"{tomorrow:%Y-%m-%dT%H:00}")
    page.get_by_role("button", name="Reserve", exact=True).click()
    page.wait_for_selector(".lab-state:has-text('reserved')")
    ada.look_around()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_selector(".lab-state:has-text('taken back')")


def test_a_scholar_waits_leaves_the_line_works_and_stops(people: People, lab: RunningLab) -> None:
    for who in ("blaise", "chen"):
        _take_a_gpu(lab, who)
    ada = people["ada"]
    page = ada.page
    _choose(page, lab, "whole-gpu", ada.look_around)
    page.wait_for_selector("text=You are in the waiting line")
    ada.look_around()
    line = ada.context.new_page()
    line.goto(ada.address("hours"))
    line.once("dialog", lambda dialog: dialog.accept())
    line.get_by_role("button", name="Leave the line").click()
    line.wait_for_selector("text=You left the line")
    line.close()
    page.wait_for_selector("text=Your session did not start")
    ada.look_around()
    _choose(page, lab, "cpu", lambda: None)
    page.wait_for_url("**/lab*", timeout=60_000)
    page.wait_for_selector(".gpulab-status button", timeout=60_000)
    page.goto(f"{lab.address}/hub/home")
    page.wait_for_selector("#lab-sessions dl")
    ada.look_around()
    page.goto(ada.address("hours"))
    ada.look_around()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Stop and keep the files").click()
    page.wait_for_selector("text=Your session is being stopped")
    page.wait_for_selector("text=No session is running", timeout=60_000)
    page.get_by_role("link", name="Used so far").click()
    page.wait_for_selector("#days")
    ada.look_around()
    page.goto(f"{lab.address}/hub/user/ada/")
    page.wait_for_selector("text=Your session is not running")
    ada.look_around()
    page.goto(f"{lab.address}/hub/no-such-page")
    ada.look_around()
    page.goto(ada.address("hours"))
    page.click("text=Sign out")
    page.wait_for_url("**/hub/login*")
    page.goto(ada.address("hours"))
    page.wait_for_url("**/hub/login*")


def _choose(page: Page, lab: RunningLab, flavor: str, look: object) -> None:
    page.goto(f"{lab.address}/hub/spawn")
    assert callable(look)
    look()
    page.check(f"input[value='{flavor}']")
    page.get_by_role("button", name="Start", exact=True).click()


def _take_a_gpu(lab: RunningLab, who: str) -> None:
    """Admit somebody whose container never comes: the slot is theirs for a while."""
    wanted = {"hub_id": "main", "account": who, "server_name": "", "flavor": "whole-gpu",
              "image": "base"}  # fmt: skip
    reply = lab.service("PUT", f"/v1/leases/{uuid4()}", json=wanted)
    assert reply.json()["state"] == "held", reply.text
