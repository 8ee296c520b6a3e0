"""The story of a TA, from log in to log out: help, attach, give hours, answer a request."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from lab.trial.running import RunningLab
from lab.trial.scenes import CLASS_TEXT, class_at_work
from lab.trial.waiting import wait_for
from tests.browser.conftest import People

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    with RunningLab(tmp_path_factory.mktemp("ta"), text=CLASS_TEXT) as running:
        class_at_work(running)
        yield running


def test_a_ta_helps_attaches_gives_hours_and_logs_out(people: People) -> None:
    tomas = people["tomas"]
    page = tomas.open("")
    page.wait_for_url("**/section/americas")
    assert page.title().startswith("(1) Section Americas")
    tomas.look_around()
    page.fill("#filter", "chen")
    assert page.locator("#scholars tbody tr:visible").count() == 1
    page.fill("#filter", "")
    page.get_by_role("button", name="Claim").click()
    page.wait_for_selector("text=You help ada now.")
    tomas.look_around()
    _attach(page)
    tomas.look_around()
    _open_the_session(page)
    page.get_by_role("button", name="Detach").click()
    page.wait_for_selector("text=tomas is not attached to the session of ada any more.")
    page.fill("#resolve-text", "Divide by the number of samples.")
    page.get_by_role("button", name="Resolve", exact=True).click()
    page.wait_for_selector("text=The request of ada is resolved.")
    assert page.title().startswith("Section Americas")
    _answer(page)
    _give(page)
    page.click("text=Sign out")
    page.wait_for_url("**/hub/login*")


def _attach(page: Page) -> None:
    """Attach to ada's session, which says soon after its start that it keeps visitors."""

    def is_open() -> bool:
        page.reload()
        return page.get_by_role("button", name="Attach", exact=True).is_enabled()

    wait_for("a session that keeps visitors", is_open, within_s=30)
    page.select_option("#attach-mode", "co_edit")
    page.get_by_role("button", name="Attach", exact=True).click()
    page.wait_for_selector("#attach-reason-fault")
    page.fill("#attach-reason", "she asked for help")
    page.get_by_role("button", name="Attach", exact=True).click()
    page.wait_for_selector("text=You are attached to the session of ada.")


def _open_the_session(page: Page) -> None:
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Open the session").click()
    session = opened.value
    # The hub asks whether this session may know who comes.
    session.click("input[type=submit], button[type=submit]")
    session.wait_for_url("**//ada.lab.localhost:*/user/ada/**")
    session.close()


def _answer(page: Page) -> None:
    """Approve a part of what blaise asks for."""
    page.get_by_role("link", name="Answer blaise").click()
    form = page.get_by_role("form", name="Answer the request for 2.00 GPU-hours")
    form.get_by_label("GPU-hours to give").fill("5")
    form.get_by_role("button", name="Approve").click()
    page.wait_for_selector("text=You can give 3.00 more GPU-hours this week.")
    form.get_by_label("GPU-hours to give").fill("1.5")
    form.get_by_role("button", name="Approve").click()
    page.wait_for_selector("text=You approved the request.")


def _give(page: Page) -> None:
    page.fill("#give-hours", "1")
    page.fill("#give-reason", "for the demo")
    page.get_by_role("button", name="Give", exact=True).click()
    page.wait_for_selector("text=You gave 1.00 GPU-hours to blaise.")
    assert "You can give 0.50 GPU-hours more this week." in page.inner_text("main")
