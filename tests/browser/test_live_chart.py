"""The live chart of GPU use in a real browser: a lab whose driver is the stand-in in C."""

import os
import re
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from lab.trial.running import RunningLab
from lab.trial.text import lab_text
from tests.browser.conftest import People
from tests.gpu.machine import MachineDriver
from tests.gpu.world import Running

pytestmark = [
    pytest.mark.browser,
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("cc") is None and not os.environ.get("CI"),
                       reason="no C compiler; scripts/system-packages.sh"),
]  # fmt: skip

# The refreshing every 15 seconds, after the worker's look, which is as often.
_SOON_MS = 60_000
DASH = "\N{EN DASH}"
_PIXELS = """
() => {
  const canvas = document.querySelector(".lab-live canvas");
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return data.some(value => value !== 0);
}
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> MachineDriver:
    return MachineDriver(tmp_path_factory.mktemp("nvml"))


@pytest.fixture(scope="module")
def lab(driver: MachineDriver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    text = lab_text().replace("mode: declared", "mode: nvml")
    folder = tmp_path_factory.mktemp("live")
    with RunningLab(folder, text=text, environment=driver.environment) as running:
        yield running


@pytest.mark.timeout(600)
def test_the_chart_follows_the_gpu_without_a_reload(
    people: People, lab: RunningLab, driver: MachineDriver
) -> None:
    visitor = lab.logged_in("ada")
    visitor.start("quarter-gpu", within_s=120)
    server = int(visitor.run_cell("import os; print(os.getppid())"))
    driver.world.processes = [Running(0, server, 3174, sm=63)]
    driver.change()
    ada, tomas, olga = people["ada"], people["tomas"], people["olga"]
    page = ada.open("hours")
    page.evaluate("window.isTheSame = true")
    page.wait_for_selector("text=63 % of the time, 3.1 of 4 GiB held", timeout=_SOON_MS)
    page.wait_for_selector(".lab-live canvas", timeout=_SOON_MS)
    assert page.evaluate(_PIXELS), "something is drawn"
    _check_twins(page)
    page.get_by_text("GPU use as a table").click()
    ada.look_around()

    driver.world.processes[0].sm = 20
    driver.change()
    before = page.get_attribute("[data-use]", "data-use")
    page.wait_for_selector("text=20 % of the time, 3.1 of 4 GiB held", timeout=_SOON_MS)
    assert page.get_attribute("[data-use]", "data-use") != before
    assert page.locator(".lab-live canvas").count() == 1, "the chart is kept, not drawn again"
    assert page.locator("details[open] table").is_visible(), "what was opened stays open"
    assert page.evaluate("window.isTheSame"), "nothing was loaded anew"

    tomas.open("section/americas").wait_for_selector("text=20 %, 3.1 GiB")
    tomas.look_around()
    olga.open("program/sessions").wait_for_selector("text=20 %, 3.1 GiB")
    olga.look_around()
    visitor.stop()
    page.wait_for_selector("text=No session is running", timeout=_SOON_MS)
    assert page.locator(".uplot").count() == 0


def _check_twins(page: Page) -> None:
    """What the chart shows is there without it, and twice for nobody."""
    live, picture = page.locator(".lab-live"), page.locator(".lab-use svg")
    assert live.get_attribute("aria-hidden") == "true"
    assert "GPU use by the minute: " in str(picture.get_attribute("aria-label"))
    box = picture.bounding_box()
    assert box is not None
    assert box["width"] <= 1, "beside the live chart the picture is for screen readers"
    assert page.locator(".lab-live .uplot").bounding_box() is not None
    values = page.locator(".lab-live .u-value")
    assert values.all_inner_texts() == [DASH, DASH], "no pointer is on the chart"
    page.hover(".lab-live .u-over")
    at, percent = values.all_inner_texts()
    assert re.fullmatch(r"\d\d:\d\d", at)
    assert re.fullmatch(r"\d+ %|not measured", percent)
