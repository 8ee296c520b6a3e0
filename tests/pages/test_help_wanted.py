"""Help from a scholar's side: asking, the place, visits and who may come in."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from quota.audit import By
from quota.helping import Helping
from tests.api.desk import ApiDesk
from tests.pages.browser import Browser, browser_of

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
TOMAS = By(actor="tomas")


def test_a_hand_is_raised_has_a_place_is_claimed_and_taken_back(
    desk: ApiDesk, ada: Browser
) -> None:
    blaise = browser_of(desk, "token-blaise")
    for who in (blaise, ada):
        asked = who.send("hours/help", "hours/help", message="It <b>hangs</b>", path="lab.ipynb")
        assert (asked.status_code, asked.headers["location"]) == (
            303, "/services/gpulab/hours/help")  # fmt: skip
        desk.books.clock.advance(timedelta(minutes=1))
    page = ada.get("hours/help").text
    assert "You are number <b>2</b>" in page
    assert "It &lt;b&gt;hangs&lt;/b&gt;" in page
    assert "You are next." in blaise.get("hours/help/now").text
    assert 'id="ask-message"' not in page
    helping = Helping(desk.books.books)
    mine = ada.form("hours/help", "/withdraw")
    helping.claim(_id_in(mine.action), by=TOMAS)
    assert "<b>tomas</b> helps you" in ada.get("hours/help/now").text
    assert ada.post(mine.action, mine.filled()).status_code == 303
    assert ada.get("hours/help").text.count("taken back") == 1
    # What is somebody else's is not there.
    foreign = blaise.form("hours/help", "/withdraw")
    mine = ada.form("hours/help", "sign-out")
    assert ada.post(foreign.action, mine.filled()).status_code == 404


def test_what_is_wrong_stands_at_its_field_and_nothing_typed_is_lost(
    desk: ApiDesk, ada: Browser, olga: Browser
) -> None:
    for message, path in (("", "x"), (" ", ""), ("a\x00b", ""), ("a" * 3_000, ""),
                          ("why", "a\nb"), ("why", "x" * 1_001)):  # fmt: skip
        reply = ada.send("hours/help", "hours/help", message=message, path=path)
        assert reply.status_code == 422, (message[:9], path[:9])
        assert 'class="lab-fault"' in reply.text
    kept = ada.send("hours/help", "hours/help", message="<i>why</i>", path="a\x01b").text
    assert "&lt;i&gt;why&lt;/i&gt;" in kept
    form = ada.form("hours/help", "hours/help")
    pairs = form.filled(message="why", path="")
    assert [ada.post(form.action, pairs).status_code for _ in range(2)] == [303, 303]
    # A form of before, while a hand is up.
    late = ada.post(form.action, [*((k, v) for k, v in pairs if k != "id"), ("id", str(uuid4()))])
    assert late.status_code == 422
    assert "You ask for help already" in late.text
    assert ada.send("hours/help", "hours/consent", choice="never").status_code == 422
    assert "You are in no section" in olga.get("hours/help").text


def test_a_visit_is_told_and_ended_and_consent_chosen(
    desk: ApiDesk, ada: Browser, tomas: Browser
) -> None:
    lease_id, _ = desk.books.run("ada")
    Helping(desk.books.books).open_session(lease_id, "")
    made = desk.call("PUT", f"/v1/attachments/{uuid4()}", "token-tomas", json={
        "hub_id": "main", "account": "ada", "server_name": "", "mode": "co_edit",
        "minutes": 30, "reason": "the loss is NaN"})  # fmt: skip
    assert made.status_code == 200, made.text
    for path in ("hours", "hours/now", "hours/help", "hours/help/now"):
        page = ada.get(path).text
        assert "tomas is attached to your session" in page, path
        assert "the loss is NaN" in page, path
    end = ada.form("hours", "/end")
    theirs = tomas.form("hours", "sign-out").filled()
    assert tomas.post(end.action, theirs).status_code == 404
    assert ada.post(end.action, end.filled()).status_code == 303
    page = ada.get("hours/help").text
    assert "is attached to your session" not in page
    assert "you ended it" in page
    assert desk.hub.shares.there == set()
    assert ada.send("hours/help", "hours/consent", choice="asking").status_code == 303
    assert Helping(desk.books.books).consent("ada").choice == "asking"
    assert 'value="asking" selected' in ada.get("hours/help").text


def _id_in(action: str) -> UUID:
    return UUID(action.split("/")[-2])
