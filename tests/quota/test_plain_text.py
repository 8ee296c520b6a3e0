"""Reasons and names of single acts: checked in the books, so that every door refuses alike."""

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest

from quota.audit import By
from quota.errors import BadText, NoSuchAccount
from quota.plain_text import fault_of_text, is_person
from quota.refunding import Incident
from quota.roster import RosterPlan
from tests.quota.books import NOON, Desk, hours, lab_with

OLGA, TOMAS = By(actor="olga"), By(actor="tomas")

HOSTILE = {
    "bidi override": "paid \u202ednufer",
    "bidi isolate": "\u2067abc\u2069",
    "right-to-left mark": "a\u200fb",
    "NUL": "a\0b",
    "lone surrogate": "a\ud800b",
    "line end": "one\ntwo",
    "line separator": "one\u2028two",
    "next line": "one\u0085two",
    "escape": "\x1b[2Jgone",
    "zero width space": "a\u200bb",
    "byte order mark": "\ufeffa",
    "tag": "a\U000e0041",
    "private": "\ue000",
    "too long": "x" * 501,
    "ten megabytes": "x" * 10_000_000,
}

FINE = (
    "lost a day to the visa office", "Gruß, 你好, नमस्ते, שלום",
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "\U0001f469\u200d\U0001f52c works", "e\u0301 and \u00e9", "x" * 500,
)  # fmt: skip

_INCIDENT = {"starts_at": NOON - timedelta(hours=2), "ends_at": NOON - timedelta(hours=1)}

DEEDS: dict[str, Callable[[Desk, str], object]] = {
    "grant": lambda desk, text: desk.office.grant(
        uuid4(), "ada", hours("1"), by=OLGA, reason=text
    ),
    "ask": lambda desk, text: desk.office.ask(uuid4(), "ada", hours("1"), text),
    "refund": lambda desk, text: desk.office.refund(
        Incident(id="cooling", reason=text, **_INCIDENT), by=OLGA
    ),
    "name of an incident": lambda desk, text: desk.office.refund(
        Incident(id=text, reason="x", **_INCIDENT), by=OLGA, dry_run=True
    ),
    "attach": lambda desk, text: desk.office.attach(
        uuid4(), "ada", server_name="", mode="observe", minutes=5, by=TOMAS, reason=text
    ),
    "rule": lambda desk, text: desk.office.change_rule(
        "scholars", "ada", {}, tag="absent", by=OLGA, reason=text
    ),
    "roster": lambda desk, text: desk.office.import_roster(RosterPlan(), by=OLGA, reason=text),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_hostile_text_is_refused_and_writes_nothing(desk: Desk, deed: str) -> None:
    for what, text in HOSTILE.items():
        with pytest.raises(BadText) as refusal:
            DEEDS[deed](desk, text)
        assert len(refusal.value.message) < 200, what
        assert refusal.value.message.isprintable(), what
    assert desk.office.trail() == []
    assert desk.sources() == {"allowance": "10"}
    assert desk.office.hour_requests() == []


def test_an_answer_is_checked_too(desk: Desk) -> None:
    request_id = uuid4()
    desk.office.ask(request_id, "ada", hours("1"), "a second run")
    for text in HOSTILE.values():
        for granted in (None, hours("1")):
            with pytest.raises(BadText):
                desk.office.answer(request_id, granted, by=OLGA, text=text)
    assert [one.state for _, one in desk.office.hour_requests()] == ["open"]


def test_all_scripts_may_be_written(desk: Desk) -> None:
    for text in FINE:
        assert fault_of_text(text) is None, text
        assert desk.office.grant(uuid4(), "ada", hours("1 s"), by=OLGA, reason=text).reason == text


@pytest.mark.parametrize(
    "name",
    ["ada\u200b", "\ufb01ona", "e\u0301va", "a\u202eb", "ad\ud800", "\uff41da", "a" * 256, "",
     " ada", "ada\0", "a\u00a0b", "x" * 10_000_000],
)  # fmt: skip
def test_a_twin_of_a_name_is_nobody_even_where_everybody_is_taken_in(
    desk: Desk, name: str
) -> None:
    desk.follow(lab_with("default_section: utc"))
    assert not is_person(name)
    for deed in (
        lambda: desk.office.grant(uuid4(), name, hours("1"), by=OLGA, reason="x"),
        lambda: desk.office.ask(uuid4(), name, hours("1"), "x"),
    ):
        with pytest.raises(NoSuchAccount) as refusal:
            deed()
        assert len(refusal.value.message) < 200
    assert desk.office.trail() == []
    assert is_person("\u00e9va")
