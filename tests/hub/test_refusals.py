"""Refusals as the hub shows them: a status for each code, and escaped text."""

import pytest
from jupyterhub.spawner import SpawnException
from jupyterhub.utils import format_exception

from hub import refusals
from hub.refusals import STATUS, Reader, refused
from quota import errors

READER = Reader(time_zone="America/New_York", home_url="/hub/home")


def every(kind: type[errors.Refusal]) -> list[type[errors.Refusal]]:
    return [one for sub in kind.__subclasses__() for one in (sub, *every(sub))]


def test_every_refusal_of_the_books_is_mapped_and_nothing_else() -> None:
    assert set(STATUS) == {one.code for one in every(errors.Refusal)}


@pytest.mark.parametrize("code", [*STATUS, "a_newer_code"])
def test_a_refusal_is_a_client_error_that_the_hub_does_not_count(code: str) -> None:
    error = refused(code, "No.", reader=READER)
    assert isinstance(error, SpawnException)
    assert 400 <= error.status_code < 500
    assert error.reason == (code if code in STATUS else "refused"), "labels of metrics are few"


def test_text_from_elsewhere_is_escaped_and_links_stay() -> None:
    error = refused("not_on_roster", "<script>alert(1)</script>", reader=READER)
    message, html = format_exception(error)
    assert message == "<script>alert(1)</script>", "plain text is escaped where it is shown"
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert '<a href="/hub/home">' in html


def test_every_refusal_shows_its_sentence_in_the_hub() -> None:
    for error in (
        refusals.service_away(READER),
        refusals.ended_early(None, READER),
        refusals.bad_choice("Choose another."),
        refusals.went_wrong(READER),
    ):
        message, html = format_exception(error, only_jupyterhub=True)
        assert message == error.message
        assert message.split(".")[0].replace("'", "&#x27;") in html


def test_the_same_advice_is_not_given_twice() -> None:
    error = refused("not_on_roster", "Ask Olga.", reader=READER, ask="Ask Olga.")
    assert error.jupyterhub_message == "Ask Olga."
