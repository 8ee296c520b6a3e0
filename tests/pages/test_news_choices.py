"""Of what somebody wants to hear outside the lab, chosen on the page."""

import pytest

from quota.notice_choices import choices_of
from tests.api.desk import ApiDesk
from tests.pages.browser import Browser
from tests.quota.books import LAB_YAML, make_lab

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)

CHANNELS = """
channels:
  mail: {title: Mail, url_file: mail, chosen_by: [scholars], to_person: true, email_domain: a.org}
  room: {title: The room, url_file: room, chosen_by: [scholars, tas]}
quiet_hours: {starts: '22:00', ends: '07:00'}
"""


def test_what_was_told_is_kept_and_without_channels_the_page_says_so(
    desk: ApiDesk, ada: Browser
) -> None:
    assert "Nothing yet." in ada.get("hours/news").text
    desk.books.use("ada", hours=9.5)
    page = ada.get("hours/news").text
    assert "minutes of GPU time left" in page
    assert "no other ways of telling you" in page


def test_what_is_checked_is_told_and_what_is_stale_or_foreign_is_said(
    desk: ApiDesk, ada: Browser
) -> None:
    books = desk.client.app.state.books  # type: ignore[attr-defined]
    books.lab = make_lab(LAB_YAML + CHANNELS)
    assert "Between 22:00 and 07:00 only what cannot wait is sent." in ada.get("hours/news").text
    form = ada.form("hours/news", "hours/news")
    done = ada.post(
        form.action, _checked(form.fields, stopped=["mail", "room"], attached=["mail"])
    )
    assert done.status_code == 303
    chosen = choices_of(books, "ada").chosen
    assert (chosen["stopped"], chosen["attached"], chosen["your_turn"]) == (
        ("mail", "room"), ("mail",), ())  # fmt: skip
    page = ada.get("hours/news").text
    assert page.count(" checked") == 3
    # An old page does not undo what was chosen since, unless it is sent once more.
    late = ada.post(form.action, _checked(form.fields, stopped=["room"]))
    assert late.status_code == 422
    assert "were changed since you read them" in late.text
    assert late.text.count(" checked") == 1
    now = ada.form("hours/news", "hours/news")
    wrong = ada.post(now.action, _checked(now.fields, stopped=["pager", "x" * 3_000]))
    assert wrong.status_code == 422
    assert "There is no channel" in wrong.text
    assert choices_of(books, "ada").chosen == chosen


def _checked(fields: list[tuple[str, str]], **checked: list[str]) -> list[tuple[str, str]]:
    kept = [(name, value) for name, value in fields if name in ("proof", "tag")]
    return kept + [(kind, one) for kind, some in checked.items() for one in some]
