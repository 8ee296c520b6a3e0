"""P46 at the pages: no secret of anybody is in a page, a header, a log, or a readable cookie."""

import pytest

from tests.api.desk import ADMISSION_SECRET, SERVICE_SECRET, ApiDesk
from tests.pages.browser import Browser, browser_of

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)

TOKENS = ("token-ada", "token-tomas", "token-olga")
PAGES = ("hours", "hours/used", "hours/week", "hours/help", "hours/news", "section/utc",
         "section/utc/people/ada", "program", "program/people/ada", "program/settings",
         "program/audit", "program/nowhere")  # fmt: skip


def _look_everywhere(browser: Browser) -> str:
    shown = []
    for path in PAGES:
        reply = browser.get(path)
        shown += [reply.text, *(f"{name}: {value}" for name, value in reply.headers.items())]
    # Forms that are answered with what was typed, and one that is not for this person.
    for reply in (browser.send("hours", "hours/requests", hours="x", reason="y"),
                  browser.post("/services/gpulab/program/grants", [("proof", "x")])):  # fmt: skip
        shown.append(reply.text)
    return "\n".join(shown)


@pytest.mark.parametrize("token", TOKENS)
def test_p46_no_page_and_no_cookie_shows_a_secret(
    desk: ApiDesk, token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.books.run("ada", "quarter")
    browser = browser_of(desk, token)
    shown = _look_everywhere(browser)
    cookies = "\n".join(f"{one.name}={one.value}" for one in browser.client.cookies.jar)
    assert "gpulab=" in cookies
    logged = capsys.readouterr()
    for secret in (*TOKENS, ADMISSION_SECRET, SERVICE_SECRET, "code-1"):
        for where in (shown, cookies, logged.out, logged.err):
            assert secret not in where, secret


def test_p46_the_search_would_find_a_secret(desk: ApiDesk) -> None:
    ada = browser_of(desk, "token-ada")
    reply = ada.send("hours", "hours/requests", hours="x", reason="my token-ada")
    assert "token-ada" in reply.text
