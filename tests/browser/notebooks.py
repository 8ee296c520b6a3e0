"""A scholar's JupyterLab in a real browser, before a listener that says what a test wants."""

from pathlib import Path

from playwright.sync_api import Browser, Page

from lab.trial.running import RunningLab
from lab.trial.waiting import wait_for
from tests.browser.people import Person

HOURS = ".gpulab-status button"
CELL = ".jp-Notebook .cm-content"
_LOAD_MS = 120_000
# Five days late: whoever believes it shows nonsense.
_WRONG_CLOCK = """
const Right = Date, LATE_MS = 5 * 86_400_000;
globalThis.Date = class extends Right {
  constructor(...given) { given.length ? super(...given) : super(Right.now() - LATE_MS); }
  static now() { return Right.now() - LATE_MS; }
};
"""


def open_lab(chromium: Browser, lab: RunningLab, name: str, path: str = "") -> Person:
    """Log somebody in, and open the page of ada's running session."""
    person = Person.enter(chromium, lab, name)
    person.page.set_default_timeout(60_000)
    person.page.add_init_script(_WRONG_CLOCK)
    person.page.goto(f"{lab.address}/hub/user/ada/lab{path}")
    if name != "ada":
        # The hub asks whether this session may know who comes.
        person.page.click("input[type=submit], button[type=submit]")
    return person


def open_anew(page: Page) -> str:
    """Open the session's page with no document open; return what the status bar says."""
    page.goto(page.url.split("/lab")[0] + "/lab?reset")
    return show_hours(page)


def show_hours(page: Page) -> str:
    """Wait for the status bar's item; return what it says."""
    page.wait_for_selector(HOURS, timeout=_LOAD_MS)
    return page.inner_text(HOURS)


def new_notebook(page: Page) -> None:
    page.click(".jp-LauncherCard[title*='Python 3'] >> nth=0")
    page.wait_for_selector(CELL, timeout=_LOAD_MS)


def write(page: Page, words: str) -> None:
    page.click(CELL)
    page.keyboard.type(words)


def save(page: Page) -> None:
    """Save as people do; a new notebook is asked for its name, and keeps it."""
    page.keyboard.press("Control+s")
    page.wait_for_timeout(1_500)
    name = page.get_by_role("button", name="Rename and Save")
    if name.is_visible():
        name.click()


def wait_for_notice(page: Page, words: str, *, within_s: float = 30) -> None:
    page.get_by_text(words).first.wait_for(timeout=1000 * within_s)


def wait_for_file(home: Path, words: str, *, within_s: float) -> Path:
    """Wait until one of somebody's notebooks has some words on disk."""

    def found() -> Path | None:
        return next((one for one in home.glob("*.ipynb") if words in one.read_text()), None)

    path = wait_for(f"{words!r} on disk", found, within_s=within_s)
    assert path is not None
    return path


def press(page: Page, *labels: str) -> None:
    """Open the panel over the status bar and press its buttons; each opens the next."""
    page.click(HOURS)
    for label in labels:
        page.locator(".gpulab-panel, .jp-Dialog").get_by_role("button", name=label).click()
