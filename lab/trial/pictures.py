"""Takes the README's pictures of a trial lab: `python -m lab.trial.pictures docs/pictures`."""

import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from lab.settings import PROJECT
from lab.trial.running import RunningLab

_BROWSER = "/usr/bin/chromium"
_SIZE = {"width": 1100, "height": 640}
# Each picture of the organizers' pages, and its page.
_PROGRAM = {
    "program": "program", "program-person": "program/people/ada",
}  # fmt: skip


def main(folder: Path) -> None:
    """Take all pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=_BROWSER, args=["--no-sandbox"])
        with _trial(hours="10") as lab:
            page = _logged_in(browser, lab, "ada")
            page.goto(f"{lab.address}/hub/spawn")
            page.screenshot(path=folder / "spawn-page.png", full_page=True)
        with _trial(hours="0.02") as lab:
            page = _logged_in(browser, lab, "ada")
            page.goto(f"{lab.address}/hub/spawn")
            _insist_on(page, "quarter-gpu")
            page.screenshot(path=folder / "refused.png", full_page=True)
        with _trial(hours="10") as lab:
            organizer(browser, lab, folder)
        browser.close()


def organizer(browser: Any, lab: RunningLab, folder: Path) -> None:
    """Take pictures of the organizers' pages, of a lab in which something happens."""
    scholar, page = _logged_in(browser, lab, "ada"), _logged_in(browser, lab, "olga")
    pages = f"http://gpulab--service.lab.localhost:{lab.port}/services/gpulab"
    scholar.goto(f"{lab.address}/hub/spawn")
    _insist_on(scholar, "quarter-gpu")
    scholar.goto(f"{pages}/hours")
    scholar.fill("#ask-hours", "3")
    scholar.fill("#ask-reason", "a second run for the report")
    scholar.press("#ask-hours", "Enter")
    scholar.wait_for_selector("text=You asked for more hours")
    page.goto(f"{pages}/program/grants/bulk?section=americas")
    page.check("input[data-choose-all]")
    page.fill("#hours", "0.5")
    page.fill("#reason", "demo week")
    page.press("#reason", "Enter")
    page.wait_for_selector("text=Nothing is given yet")
    page.screenshot(path=folder / "program-bulk.png", full_page=True)
    page.click("text=Give the hours")
    page.goto(f"{pages}/program/edit/hours/europe-africa")
    page.fill("#hours_per_week", "12")
    page.fill("#reason", "two more GPUs")
    page.press("#reason", "Enter")
    page.wait_for_selector("text=Who is affected")
    page.screenshot(path=folder / "program-preview.png", full_page=True)
    page.click("text=Make the change")
    for name, path in _PROGRAM.items():
        page.goto(f"{pages}/{path}")
        page.screenshot(path=folder / f"{name}.png", full_page=True)


def _trial(hours: str) -> RunningLab:
    shipped = (PROJECT / "lab.yaml").read_text()
    text = shipped.replace("hours_per_week: 10", f"hours_per_week: {hours}")
    return RunningLab(Path(tempfile.mkdtemp(prefix="gpulab-pictures-")), text=text)


def _logged_in(browser: Any, lab: RunningLab, name: str) -> Any:
    page = browser.new_page(viewport=_SIZE)
    page.goto(f"{lab.address}/hub/login")
    page.fill("input[name=username]", name)
    page.fill("input[name=password]", lab.passwords()[name])
    page.press("input[name=password]", "Enter")
    page.wait_for_url("**/hub/**")
    return page


def _insist_on(page: Any, flavor: str) -> None:
    """Ask for a flavor that the page does not offer, as somebody does whose page is old."""
    page.evaluate(
        "flavor => { const choice = document.querySelector(`input[value='${flavor}']`);"
        " choice.disabled = false; choice.checked = true; choice.form.submit(); }",
        flavor,
    )
    page.wait_for_load_state("networkidle")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
