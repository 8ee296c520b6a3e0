"""Whatever is typed into any form: an answer that says what is wrong, and nothing done by half."""

import pytest
from markupsafe import escape

from quota.plain_text import fault_of_text
from tests.api.desk import ApiDesk
from tests.api.office import ask_hours
from tests.pages.browser import Browser, Form, forms_of
from tests.pages.program.test_looks import PAGES

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)

HOSTILE = ("", "<script>alert(1)</script>'\"", "-1", "\x00", "x" * 3_000)
MORE = (
    " ", "NaN", "1e999", "a\u202eb", "../../etc", "\U0001f600", "{{ 7*7 }}", "2026-02-30",
    "9" * 12, "a\nb: [",
)  # fmt: skip
_KEPT = ("proof", "id", "tag", "source", "trial")


@pytest.mark.parametrize("texts", [HOSTILE, pytest.param(MORE, marks=pytest.mark.long)])
def test_every_form_takes_anything_and_loses_nothing(
    desk: ApiDesk, olga: Browser, texts: tuple[str, ...]
) -> None:
    ask_hours(desk)
    desk.books.run("ada", "whole")
    forms = _forms(olga)
    assert len(forms) > 15
    reasons = 0
    for form in forms.values():
        typed = [name for name, _ in form.fields if name not in _KEPT]
        assert typed, form.action
        for text in texts:
            pairs = [(name, value if name in _KEPT else text) for name, value in form.fields]
            reply = olga.post(form.action, pairs)
            if typed == ["reason"] and text.strip() and fault_of_text(text) is None:
                assert reply.status_code == 303, (form.action, text)
                reasons += 1
                continue
            assert reply.status_code in (404, 422), (form.action, text)
            assert "<script>alert" not in reply.text
            is_lost = str(escape(text.strip()))[:50] not in reply.text
            assert not is_lost or reply.status_code == 404, (form.action, text)
    # A reason may be any line of text; nothing else was done.
    assert reasons
    done = {one.action for one in desk.books.office.trail()}
    assert done == {"drained_gpus.change"}


def test_what_is_stale_or_not_theirs_is_refused(olga: Browser, tomas: Browser) -> None:
    for form in _forms(olga).values():
        stale = [(name, "nothing" if name in ("id", "tag") else value)
                 for name, value in form.fields]  # fmt: skip
        assert olga.post(form.action, stale).status_code in (404, 422), form.action
        assert tomas.post(form.action, form.fields).status_code == 403, form.action


def _forms(olga: Browser) -> dict[str, Form]:
    """Find every form of every page, by where it goes."""
    found = {}
    for path in PAGES:
        for form in forms_of(olga.get(path)):
            if "/program/" in form.action and "proof" in dict(form.fields):
                found[form.action + form.label] = form
    return found
