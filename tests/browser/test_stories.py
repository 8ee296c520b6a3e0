"""The stories of scholar, TA and organizer, from log in to log out."""

import pytest

from tests.browser.conftest import People

pytestmark = pytest.mark.browser


def test_a_scholar_sees_hours_asks_for_more_and_logs_out(people: People) -> None:
    ada = people["ada"]
    page = ada.page
    page.click("text=GPU-hours >> nth=0")
    page.wait_for_url("**/services/gpulab/hours")
    ada.look_around()
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
    page.click("text=Sign out")
    page.wait_for_url("**/hub/login*")
    page.goto(f"http://gpulab--service.lab.localhost:{ada.lab.port}/services/gpulab/hours")
    page.wait_for_url("**/hub/login*")
