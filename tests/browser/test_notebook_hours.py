"""A scholar's hours run out in the notebook, with the real books behind it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from lab.trial.running import RunningLab
from lab.trial.text import lab_text
from lab.trial.waiting import wait_for
from tests.browser.conftest import People
from tests.browser.notebooks import (
    HOURS,
    new_notebook,
    open_lab,
    press,
    show_hours,
    wait_for_file,
    wait_for_notice,
    write,
)

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(900)]

# Minutes of a whole GPU: enough to load the page, and all of it near the end.
_HOURS = "'240 s'"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    folder = tmp_path_factory.mktemp("hours")
    with RunningLab(folder, text=lab_text(hours=_HOURS)) as running:
        yield running


def test_p17_p19_hours_fall_help_is_asked_and_work_goes_on_without_a_gpu(
    lab: RunningLab, chromium: Browser, people: People
) -> None:
    home = lab.state.root / "homes" / "ada"
    lab.logged_in("ada").start("whole-gpu", within_s=120)
    ada = open_lab(chromium, lab, "ada", "?reset")
    page = ada.page
    before = show_hours(page)
    assert "GPU-hours left · 1/h · until" in before, before
    new_notebook(page)
    write(page, "unsaved = 6 * 7")
    wait_for("fewer hours", lambda: show_hours(page) < before, within_s=60)
    press(page, "Ask a TA")
    page.fill(".gpulab-question textarea", "The loss is NaN")
    page.get_by_role("button", name="Ask", exact=True).click()
    wait_for_notice(page, "You asked for help. You are next.")
    assert "The loss is NaN" in people["tomas"].open("section/americas").inner_text("main")
    wait_for_notice(page, "All documents are saved.", within_s=240)
    path = wait_for_file(home, "unsaved = 6 * 7", within_s=10)
    page.wait_for_selector("text=Your session has ended", timeout=120_000)
    page.locator(".jp-Dialog").get_by_role("button", name="Go on on a CPU").click()
    page.wait_for_url("**/user/ada/lab*", timeout=240_000)
    assert "1/h" not in show_hours(page)
    assert page.locator(HOURS).inner_text().startswith("0.00 GPU-hours left")
    assert "unsaved = 6 * 7" in path.read_text()
    ada.context.close()
