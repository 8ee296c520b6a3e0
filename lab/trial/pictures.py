"""Takes the docs' pictures of a trial lab: `python -m lab.trial.pictures docs/pictures`."""

import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from playwright.sync_api import sync_playwright

from lab.settings import PROJECT
from lab.trial.running import RunningLab
from lab.trial.scenes import CLASS_TEXT, class_at_work
from lab.trial.text import lab_text
from lab.trial.visitor import Visitor
from quota.clock import SystemClock

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
        scholar(browser, folder)
        _section(browser, folder)
        with _trial(hours="10") as lab:
            organizer(browser, lab, folder)
        browser.close()


def scholar(browser: Any, folder: Path) -> None:
    """Take the pictures of a scholar's own pages, while a session runs and hours were granted."""
    with RunningLab(Path(tempfile.mkdtemp(prefix="gpulab-pictures-")), text=_week_text()) as lab:
        olga, ada = lab.logged_in("olga"), lab.logged_in("ada")
        _put(lab, olga, "grants", {"account": "ada", "hours": "2", "reason": "second run"})
        hand = {"message": "My loss is NaN after the first step.", "path": "week1/lab.ipynb"}
        _put(lab, ada, "help-requests", hand)
        ada.start("quarter-gpu")
        page = _logged_in(browser, lab, "ada")
        page.goto(f"{lab.address}/hub/home")
        page.wait_for_selector("#lab-sessions dl")
        page.screenshot(path=folder / "home.png", full_page=True)
        for path in ("hours", "hours/week", "hours/help"):
            page.goto(f"http://gpulab--service.lab.localhost:{lab.port}/services/gpulab/{path}")
            page.screenshot(path=folder / f"{path.replace('/', '-')}.png", full_page=True)
        page.set_viewport_size({"width": 390, "height": 800})
        page.goto(f"http://gpulab--service.lab.localhost:{lab.port}/services/gpulab/hours")
        page.screenshot(path=folder / "hours-phone.png")


def _section(browser: Any, folder: Path) -> None:
    """A TA's section, and a scholar who is helped."""
    with _lab(CLASS_TEXT) as lab:
        class_at_work(lab)
        page = _logged_in(browser, lab, "tomas")
        page.goto(f"http://gpulab--service.lab.localhost:{lab.port}/services/gpulab/")
        page.screenshot(path=folder / "section.png", full_page=True)
        page.get_by_role("button", name="Claim").click()
        page.get_by_role("button", name="Attach", exact=True).wait_for()
        # Soon after its start a session says that it keeps visitors.
        page.wait_for_timeout(3000)
        page.reload()
        page.screenshot(path=folder / "section-scholar.png", full_page=True)
        page.select_option("#attach-mode", "co_edit")
        page.fill("#attach-reason", "she asked for help")
        page.get_by_role("button", name="Attach", exact=True).click()
        page.wait_for_selector("text=You are attached")
        page.set_viewport_size({"width": 390, "height": 800})
        page.screenshot(path=folder / "section-phone.png")


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
    return _lab(shipped.replace("hours_per_week: 10", f"hours_per_week: {hours}"))


def _lab(text: str) -> RunningLab:
    return RunningLab(Path(tempfile.mkdtemp(prefix="gpulab-pictures-")), text=text)


def _week_text() -> str:
    """Write a lab whose program is in its second week, with something due at its end."""
    today = SystemClock().now().date()
    monday = today - timedelta(days=today.weekday())
    text = lab_text().replace(
        "    hours_per_week: 10",
        """    hours_per_week: 10
    help_hours_per_week: 5
    co_working:
      - {day: wednesday, starts: '17:00', ends: '19:00'}
      - {day: saturday, starts: '10:00', ends: '12:00'}""",
    )
    return f"""{text}
program:
  starts_on: {monday - timedelta(days=7)}
  weeks: [{{topic: Neural networks}}, {{topic: Training at scale}}, {{topic: Robustness}}]
tas:
  tomas: {{office_hours: [{{day: tuesday, starts: '18:00', ends: '19:00'}}]}}
due_dates:
  essay: {{title: Essay on scaling, due: {monday + timedelta(days=6)} 23:59, hours: 2,
          hours_from: {monday}}}
"""


def _put(lab: RunningLab, who: Visitor, path: str, body: dict[str, str]) -> None:
    reply = lab.service("PUT", f"/v1/{path}/{uuid4()}", token=who.token,
                        json={"hub_id": "main", **body})  # fmt: skip
    reply.raise_for_status()


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
