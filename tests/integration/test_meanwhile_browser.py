"""In a browser: the waiting page's button, and the home page's when the turn has come."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from lab.trial.running import RunningLab
from lab.trial.text import lab_text
from lab.trial.waiting import wait_for

_CHROMIUM = shutil.which("chromium")
_START_MS = 120_000

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(900),
    pytest.mark.skipif(_CHROMIUM is None and not os.environ.get("CI"),
                       reason="no chromium; scripts/system-packages.sh"),
]  # fmt: skip


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(30_000)
        yield page
        browser.close()


def test_the_buttons_lead_to_the_cpu_and_back_to_the_gpu(tmp_path: Path, page: Page) -> None:
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    with RunningLab(tmp_path, text=lab_text(gpus=1, policy={"offer_s": 120})) as lab:
        ada = lab.logged_in("ada")
        ada.start("whole-gpu", within_s=120)
        page.goto(f"{lab.address}/hub/login?next=%2Fhub%2Fspawn")
        page.fill("input[name=username]", "blaise")
        page.fill("input[name=password]", lab.passwords()["blaise"])
        page.click("#login_submit")
        page.check("input[name=flavor][value=whole-gpu]")
        page.click("form[action*=spawn] [type=submit]")
        page.wait_for_selector("#place:not([hidden])")
        page.click("#meanwhile")
        page.wait_for_url("**/user/blaise/**", timeout=_START_MS)
        assert {one.flavor for one in lab.sessions()} == {"whole-gpu", "cpu"}
        page.goto(f"{lab.address}/hub/home")
        page.wait_for_selector("text=your place is kept")
        page.wait_for_selector("button:has-text('Leave the line')")
        ada.stop()
        wait_for("the turn", lambda: lab.notices("blaise", "turn"), within_s=60)
        page.reload()
        page.wait_for_selector("text=Your turn has come")
        page.click("button:has-text('start on the GPU')")
        page.wait_for_url("**/user/blaise/**", timeout=_START_MS)
        assert [one.flavor for one in lab.sessions()] == ["whole-gpu"]
    assert wrong == []
