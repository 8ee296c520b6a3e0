"""What organizers see: every page opens, and says what the books say."""

import pytest

from tests.pages.browser import Browser

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)

PAGES = {
    "program": "The program", "program/live": "This week", "program/requests": "Requests",
    "program/people": "emeka", "program/people?section=berlin": "emeka",
    "program/people/ada": "Give hours", "program/people/tomas": "TA of",
    "program/grants": "Give one person", "program/grants/bulk": "Choose a section",
    "program/grants/bulk?section=utc": "blaise", "program/hours": "Weekly hours",
    "program/edit/hours/utc": "In week 2: Scale", "program/edit/sections/utc": "tomas",
    "program/edit/scholars/ada": "Weeks away", "program/edit/tas/tomas": "friday 09:00-10:00",
    "program/edit/due-dates": "Short name", "program/edit/due-dates/review": "Paper review",
    "program/edit/blackouts": "Short name", "program/calendar": "Paper review",
    "program/sections": "Europe/Berlin", "program/sessions": "Sessions",
    "program/sessions/live": "open sessions", "program/gpus": "GPU-0",
    "program/audit": "Fingerprint", "program/settings": "hold_step_s",
}  # fmt: skip


def test_every_page_opens(olga: Browser) -> None:
    for path, said in PAGES.items():
        page = olga.get(path)
        assert page.status_code == 200, path
        assert said in page.text, path
