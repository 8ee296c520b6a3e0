"""The notebook's part of the lab in a real browser: hours, warnings, saving, help, visitors.

The hub, its sessions and who is attached are real; what the books say is played, so that hours
end in two minutes and a lab can be away.
"""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Page

from lab.trial.running import RunningLab
from lab.trial.waiting import wait_for
from tests.browser.listener import FakeListener, Mood
from tests.browser.notebooks import (
    CELL,
    HOURS,
    new_notebook,
    open_anew,
    open_lab,
    press,
    save,
    show_hours,
    wait_for_file,
    wait_for_notice,
    write,
)
from tests.browser.people import LAB_TEXT, Person

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(900)]

VISIT = {"id": str(uuid4()), "ta": "tomas", "mode": "observe", "reason": "asked for help",
         "until": "2099-01-01T00:00:00+00:00"}  # fmt: skip


@pytest.fixture(scope="module")
def listener() -> Iterator[FakeListener]:
    with FakeListener().running() as running:
        yield running


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, listener: FakeListener) -> Iterator[RunningLab]:
    folder = tmp_path_factory.mktemp("notebook")
    site = folder / "site.py"
    site.write_text(f"c.Spawner.session_api = {listener.address!r}\n")
    environment = {"GPULAB_HUB_CONFIG": str(site)}
    with RunningLab(folder, text=LAB_TEXT, environment=environment) as running:
        yield running


@pytest.fixture
def ada(lab: RunningLab, listener: FakeListener, chromium: Browser) -> Iterator[Person]:
    """Ada at her running session, with hours enough."""
    listener.reset()
    if not lab.logged_in("ada").is_running():
        lab.logged_in("ada").start("cpu", within_s=180)
    one = open_lab(chromium, lab, "ada", "?reset")
    show_hours(one.page)
    yield one
    one.leave()


@pytest.fixture
def home(lab: RunningLab) -> Path:
    return lab.state.root / "homes" / "ada"


def hours_of(page: Page) -> float:
    return float(show_hours(page).split()[0])


def test_the_hours_fall_and_the_clock_of_the_browser_does_not_matter(
    ada: Person, listener: FakeListener
) -> None:
    page = ada.page
    assert hours_of(page) == pytest.approx(10, abs=0.1)
    listener.say(flavor={"weight_mgpu": 8000})
    open_anew(page)
    before = hours_of(page)
    wait_for("fewer hours", lambda: hours_of(page) < before, within_s=20)
    listener.end_in(timedelta(minutes=90))
    open_anew(page)
    page.wait_for_selector(f"{HOURS}:has-text('until')")
    page.click(HOURS)
    said = page.inner_text(".gpulab-panel")
    for words in ("GPU-hours", "The next hours come", "8 GPU-hours per hour", "42 % busy",
                  "1.5 GiB of 4.0 GiB"):  # fmt: skip
        assert words in said, said


def test_the_end_is_announced_counted_down_saved_for_and_explained(
    ada: Person, listener: FakeListener, lab: RunningLab, home: Path
) -> None:
    page = ada.page
    new_notebook(page)
    write(page, "unsaved = 6 * 7")
    listener.say(session={"end_text": "Your hours of this week are used up."})
    # It is asked within half a minute, and then every five seconds.
    listener.end_in(timedelta(seconds=125))
    wait_for_notice(page, "This session ends in 1:", within_s=60)
    wait_for_notice(page, "Your session ends in 2 minutes")
    wait_for_notice(page, "All documents are saved.", within_s=90)
    path = wait_for_file(home, "unsaved = 6 * 7", within_s=10)
    wait_for_notice(page, "Your session ends in one minute")
    page.wait_for_selector("text=Your session has ended", timeout=90_000)
    assert "used up" in page.inner_text(".jp-Dialog")
    page.locator(".jp-Dialog").get_by_role("button", name="Go on on a CPU").click()
    # The books would end it now.
    lab.logged_in("ada").stop(within_s=60)
    page.wait_for_url("**/user/ada/lab*", timeout=180_000)
    listener.reset()
    listener.say(flavor={"is_gpu": False, "weight_mgpu": 0}, gpu=None, use=None)
    show_hours(page)
    assert "unsaved = 6 * 7" in path.read_text()
    ada.complaints.clear()  # kernels and pages that were cut off


def test_going_on_without_a_gpu_saves_and_releases_first(
    ada: Person, listener: FakeListener, lab: RunningLab, home: Path
) -> None:
    page = ada.page
    new_notebook(page)
    write(page, "kept = 1")
    press(page, "Release the GPU now", "Cancel")
    assert listener.told == []
    press(page, "Go on on a CPU", "Go on on a CPU")
    wait_for("the release", lambda: listener.told == [("done", {})], within_s=30)
    wait_for_file(home, "kept = 1", within_s=5)
    lab.logged_in("ada").stop(within_s=60)
    page.wait_for_url("**/user/ada/lab*", timeout=180_000)
    assert lab.logged_in("ada").is_running()
    ada.complaints.clear()


def test_a_ta_is_asked_and_a_visitor_is_shown_and_sent_out(
    ada: Person, listener: FakeListener
) -> None:
    page = ada.page
    new_notebook(page)
    press(page, "Ask a TA")
    page.fill(".gpulab-question textarea", "The loss is NaN")
    page.get_by_role("button", name="Ask", exact=True).click()
    wait_for("the question", lambda: listener.told, within_s=30)
    path, body = listener.told[0]
    assert path.startswith("help/")
    assert body["message"] == "The loss is NaN"
    assert body["path"].endswith(".ipynb")
    page.click(HOURS)
    page.wait_for_selector("text=You asked for help. 1 before you.")
    page.get_by_role("button", name="Withdraw the question").click()
    wait_for("it is withdrawn", lambda: listener.told[-1][0].endswith("/withdraw"), within_s=30)
    listener.say(attached=[VISIT])
    open_anew(page)
    page.wait_for_selector("text=tomas observes your session", timeout=120_000)
    page.get_by_role("button", name="End the visit").click()
    page.wait_for_selector(".gpulab-banner >> text=tomas", state="hidden")
    assert listener.told[-1][0] == f"attachments/{VISIT['id']}/end"


@pytest.mark.parametrize("mood", ["500", "garbage", "huge", "silent", "no lease"])
def test_p30_a_lab_that_is_away_nags_nobody_and_editing_goes_on(
    ada: Person, listener: FakeListener, home: Path, mood: Mood
) -> None:
    page = ada.page
    new_notebook(page)
    listener.mood = mood
    page.wait_for_selector(f"{HOURS}:has-text('GPU hours: no answer')", timeout=60_000)
    write(page, f"usable = '{mood}'")
    save(page)
    wait_for_file(home, f"usable = '{mood}'", within_s=20)
    assert page.get_by_text("no answer").count() == 1
    listener.mood = "well"
    page.wait_for_selector(f"{HOURS}:has-text('GPU-hours left')", timeout=60_000)


def test_a_tab_asks_every_half_minute_and_never_while_it_is_hidden(
    ada: Person, listener: FakeListener
) -> None:
    page = ada.page
    wait_for("two more answers", lambda: len(listener.asked) >= 3, within_s=100)
    gaps = [b - a for a, b in zip(listener.asked, listener.asked[1:], strict=False)]
    assert min(gaps) > 25, gaps
    page.evaluate(
        "Object.defineProperty(document, 'hidden', {configurable: true, get: () => true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    before = len(listener.asked)
    time.sleep(70)  # what is to be seen is that nothing happens
    assert len(listener.asked) == before
    page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    wait_for("an answer again", lambda: len(listener.asked) > before, within_s=10)


def test_p34_an_observer_reads_and_a_co_editor_writes(
    ada: Person, lab: RunningLab, listener: FakeListener, chromium: Browser, home: Path
) -> None:
    new_notebook(ada.page)
    write(ada.page, "mine = 1")
    save(ada.page)
    name = wait_for_file(home, "mine = 1", within_s=20).name
    attached = _attach(lab, "observe")
    tomas = open_lab(chromium, lab, "tomas", f"/tree/{name}")
    page = tomas.page
    page.wait_for_selector("text=Observing: this is the session of ada", timeout=120_000)
    page.wait_for_selector(CELL)
    page.wait_for_selector(f"{CELL}[contenteditable=false], {CELL}[aria-readonly=true]")
    assert not page.locator(HOURS).is_visible()
    before = page.inner_text(".jp-Notebook")
    write(page, "EVIL")
    for key in ("Escape", "b", "a", "d", "d", "x", "v", "Shift+Enter", "Control+s"):
        page.keyboard.press(key)
    page.wait_for_timeout(1_000)
    assert page.inner_text(".jp-Notebook") == before
    assert "EVIL" not in (home / name).read_text()
    _detach(lab, attached)
    _attach(lab, "co_edit")
    page.goto(f"{lab.address}/hub/user/ada/lab/tree/{name}")
    page.wait_for_selector("text=You edit together with ada", timeout=120_000)
    page.wait_for_selector(CELL)
    write(page, "together = 2; ")
    save(page)
    wait_for_file(home, "together = 2", within_s=20)
    # What an observer's JupyterLab may not ask is refused, and the console says so.
    tomas.complaints.clear()
    tomas.leave()
    ada.complaints.clear()


def _attach(lab: RunningLab, mode: str) -> str:
    body = {"hub_id": lab.hub_id, "account": "ada", "server_name": "", "mode": mode,
            "minutes": 30, "reason": "asked for help"}  # fmt: skip
    token = lab.logged_in("tomas").token
    one = str(uuid4())

    def is_attached() -> bool:
        reply = lab.service("PUT", f"/v1/attachments/{one}", token=token, json=body)
        return reply.status_code == 200

    wait_for("an attachment", is_attached, within_s=60, every_s=1)
    return one


def _detach(lab: RunningLab, attached: str) -> None:
    token = lab.logged_in("tomas").token
    reply = lab.service("PUT", f"/v1/attachments/{attached}/end", token=token)
    assert reply.status_code == 200, reply.text
