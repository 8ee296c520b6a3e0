"""A TA's section: the table, what waits for an answer, and a scholar's page."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from api.hub_shares import Share
from quota.audit import By
from quota.helping import Helping
from quota.idling import Idling
from quota.lab_file import parse_lab
from quota.session_states import SessionState
from quota.ways_in import ways_in
from tests.api.desk import ApiDesk
from tests.api.office import OFFICE_YAML, add_people, ask_hours
from tests.pages.browser import HOST, Browser, Form, forms_of, open_pages
from tests.quota.books import Desk

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)

# Two TAs, so that one can hand over to the other.
TEXT = OFFICE_YAML.replace("tas: [tomas]", "tas: [tomas, tim]")


@pytest.fixture
def desk(engine: Engine, tmp_path: Path) -> Iterator[ApiDesk]:
    """The pages over a lab with a program, TAs' hours and help hours."""
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / "lab.yaml").write_text(TEXT)
    with open_pages(engine, folder) as found:
        add_people(found)
        found.books.books.lab = parse_lab(TEXT, "lab.yaml")
        yield found
        found.books.check()


ADA = "section/utc/people/ada"


def post(browser: Browser, action: str, **typed: str) -> int:
    """Send the form of Ada's page that goes to an action."""
    return browser.send(ADA, action, **typed).status_code


def test_who_needs_somebody_comes_first(desk: ApiDesk, tomas: Browser) -> None:
    ask_hours(desk, token="token-blaise")
    desk.books.run("chen", "whole")
    page = tomas.get("section/utc").text
    assert page.index(">blaise</a>") < page.index(">ada</a>")
    assert page.index(">chen</a>") < page.index(">ada</a>")
    assert "<b>1</b> running" in page
    assert "<b>3.00</b> GPU-hours left for you" in page
    assert "asks for hours" in page
    assert ">emeka<" not in page


def test_the_parts_that_refresh_are_what_the_page_shows(desk: ApiDesk, tomas: Browser) -> None:
    ask_hours(desk)
    page = tomas.get("section/utc").text
    for part in ("queue", "scholars"):
        fresh = tomas.get(f"section/utc/{part}")
        assert fresh.status_code == 200
        assert fresh.text.strip() in page


def test_who_is_out_of_hours_is_seen(desk: ApiDesk, olga: Browser) -> None:
    desk.books.use("emeka", "whole", hours=5.2)
    row = olga.get("section/berlin/scholars").text.partition(">emeka</a>")[2]
    assert '<span class="lab-state">out</span>' in row
    assert "12 min ago" in row


def test_what_a_gpu_does_is_seen(desk: ApiDesk, tomas: Browser) -> None:
    lease_id, _ = desk.books.run("dina", "whole")
    at = desk.books.clock.now() - timedelta(minutes=22)
    Idling(desk.books.books).note({lease_id: SessionState(state="holding", since=at)})
    page = tomas.get("section/utc").text
    assert page.index(">dina</a>") < page.index(">ada</a>")
    assert "does nothing, but holds memory; idle for 22 min, stops in" in page
    assert "Its GPU does nothing, but holds memory since" in tomas.get(
        "section/utc/people/dina").text  # fmt: skip


def test_small_grants_come_out_of_the_tas_week(desk: ApiDesk, tomas: Browser) -> None:
    assert post(tomas, "/grants", hours="2", reason="demo week") == 303
    page = tomas.get(ADA).text
    assert "You gave 2.00 GPU-hours to ada." in page
    assert "You can give 1.00 GPU-hours more" in page
    over = tomas.send(ADA, "/grants", hours="1.5", reason="more")
    assert over.status_code == 422
    assert "You can give 1.00 more GPU-hours this week." in over.text
    assert desk.books.balance("ada") == "16.00"


def test_what_is_wrong_with_a_grant_stands_at_its_field(desk: ApiDesk, tomas: Browser) -> None:
    for hours, reason in (("", ""), ("-1", "a"), ("2", ""), ("1e999", "a"), ("NaN", "<b>&"),
                          ("2", "x" * 5_000), ("2", "a\x00b"), ("0", "a")):  # fmt: skip
        reply = tomas.send(ADA, "/grants", hours=hours, reason=reason)
        assert reply.status_code == 422, (hours, reason)
        assert 'class="lab-fault"' in reply.text
        assert f'name="hours" type="text" maxlength="20" value="{hours}"' in reply.text
        assert "<b>&" not in reply.text
    assert desk.books.balance("ada") == "14.00"


def test_giving_twice_gives_once(desk: ApiDesk, tomas: Browser) -> None:
    form = tomas.form(ADA, "/grants")
    pairs = form.filled(hours="1", reason="demo")
    assert [tomas.post(form.action, pairs).status_code for _ in range(2)] == [303, 303]
    assert desk.books.balance("ada") == "15.00"
    # The same form, filled in otherwise: an old tab.
    other = tomas.post(form.action, form.filled(hours="2", reason="demo"))
    assert other.status_code == 422
    assert "used before for another grant" in other.text


def answer(browser: Browser, decision: str, **typed: str) -> tuple[int, str]:
    form = next(one for one in _forms(browser) if "/requests/" in one.action)
    reply = browser.post(form.action, [*form.filled(**typed), ("decision", decision)])
    return reply.status_code, reply.text


def _forms(browser: Browser) -> list[Form]:
    return forms_of(browser.get(ADA))


def test_a_request_is_approved_in_part_out_of_the_tas_week(desk: ApiDesk, tomas: Browser) -> None:
    ask_hours(desk, "5")
    status, text = answer(tomas, "approve")
    assert status == 422
    assert "You can give 3.00 more GPU-hours this week." in text
    assert answer(tomas, "approve", hours="2", text="two now")[0] == 303
    assert desk.books.balance("ada") == "16.00"
    assert "two now" in tomas.get(ADA).text


def test_a_denial_needs_a_word(desk: ApiDesk, tomas: Browser) -> None:
    ask_hours(desk)
    status, text = answer(tomas, "deny", text=" ")
    assert status == 422
    assert "Write why not" in text
    assert answer(tomas, "deny", text="use yours first")[0] == 303
    assert "use yours first" in tomas.get(ADA).text
    assert desk.books.balance("ada") == "14.00"


def test_an_answer_that_comes_too_late_is_not_lost(desk: ApiDesk, tomas: Browser) -> None:
    request_id = ask_hours(desk).json()["id"]
    form = next(one for one in _forms(tomas) if "/requests/" in one.action)
    desk.call("PUT", f"/v1/requests/{request_id}/withdraw", "token-ada")
    pairs = [*form.filled(text="much <b>thought</b>"), ("decision", "deny")]
    late = tomas.post(form.action, pairs)
    assert late.status_code == 422
    assert "This request is withdrawn already." in late.text
    assert "You wrote: much &lt;b&gt;thought&lt;/b&gt;" in late.text


def test_only_ids_of_this_scholar_count(desk: ApiDesk, tomas: Browser) -> None:
    theirs = ask_hours(desk, token="token-blaise").json()["id"]
    sent = tomas.form(ADA, "/grants").filled(hours="1", reason="x")
    for path in (f"requests/{theirs}", f"requests/{uuid4()}", f"attachments/{uuid4()}/end"):
        assert tomas.post(f"/services/gpulab/{ADA}/{path}", sent).status_code == 404


def test_what_is_not_theirs_is_not_there(tomas: Browser) -> None:
    for path in ("section/berlin", "section/none", "section/utc/people/emeka",
                 "section/utc/people/nobody", "section/berlin/people/ada",
                 "section/utc/people/Ada%00"):  # fmt: skip
        assert tomas.get(path).status_code == 404, path


def test_an_organizer_sees_every_section_and_gives_the_labs_hours(
    desk: ApiDesk, olga: Browser
) -> None:
    assert olga.get("section/berlin").status_code == 200
    assert 'aria-label="Attach to a session"' not in olga.get(ADA).text
    assert post(olga, "/grants", hours="20", reason="project") == 303
    assert desk.books.balance("ada") == "34.00"


# -- help and attachments ----------------------------------------------------------------------


def raise_hand(desk: ApiDesk, who: str = "ada", message: str = "Kernel <dies>") -> str:
    body = {"hub_id": "main", "message": message, "path": "week1/lab.ipynb", "server_name": ""}
    reply = desk.call("PUT", f"/v1/help-requests/{uuid4()}", f"token-{who}", json=body)
    assert reply.status_code == 200, reply.text
    return str(reply.json()["id"])


def open_session(desk: ApiDesk, who: str = "ada", no_observing: str = "") -> None:
    lease_id, _ = desk.books.run(who, "whole")
    Helping(desk.books.books).open_session(lease_id, no_observing)


def test_a_raised_hand_is_claimed_handed_over_and_resolved(desk: ApiDesk, tomas: Browser) -> None:
    raise_hand(desk)
    desk.books.clock.advance(timedelta(minutes=3))
    raise_hand(desk, "blaise", "Later")
    page = tomas.get("section/utc").text
    assert "<title>(2) Section utc" in page
    assert "Kernel &lt;dies&gt;" in page
    assert "week1/lab.ipynb" in page
    assert page.index(">ada</a>") < page.index(">blaise</a>")
    claim = tomas.form("section/utc", "/claim")
    done = tomas.post(claim.action, claim.filled())
    assert done.headers["location"] == f"/services/gpulab/{ADA}"
    assert tomas.post(claim.action, claim.filled()).status_code == 303
    assert "<title>(1) Section utc" in tomas.get("section/utc").text
    assert post(tomas, "/hand-over", to="") == 303
    assert "<title>(2) Section utc" in tomas.get("section/utc").text
    tomas.post(claim.action, claim.filled())
    assert tomas.send(ADA, "/resolve", text="a\x00b").status_code == 422
    assert post(tomas, "/resolve", text="restart it") == 303
    listed = desk.get("/v1/help-requests?account=ada", "token-ada").json()["help_requests"]
    assert (listed[0]["state"], listed[0]["answer"]) == ("resolved", "restart it")
    assert "Kernel" not in tomas.get(ADA).text


def test_another_ta_takes_over(desk: ApiDesk, tomas: Browser) -> None:
    raise_hand(desk)
    claim = tomas.form(ADA, "/claim")
    tomas.post(claim.action, claim.filled())
    form = tomas.form(ADA, "/resolve")
    assert post(tomas, "/hand-over", to="tim") == 303
    page = tomas.get("section/utc").text
    assert "tim helps ada now." in page
    assert '<span class="lab-state">tim helps</span>' in page
    late = tomas.post(form.action, form.filled(text="done"))
    assert late.status_code == 422
    assert "Claim this request for help first" in late.text
    assert "You wrote: done" in late.text


def test_a_word_for_somebody_who_took_the_request_back_is_not_lost(
    desk: ApiDesk, tomas: Browser
) -> None:
    request_id = raise_hand(desk)
    claim = tomas.form(ADA, "/claim")
    tomas.post(claim.action, claim.filled())
    form = tomas.form(ADA, "/resolve")
    over = tomas.form(ADA, "/hand-over")
    assert '<option value="tim">tim</option>' in tomas.get(ADA).text
    wrong = tomas.post(over.action, over.filled(to="tilda"))
    assert wrong.status_code == 422
    assert "Only a TA of the scholar&#39;s section" in wrong.text
    desk.call("PUT", f"/v1/help-requests/{request_id}/withdraw", "token-ada")
    late = tomas.post(form.action, form.filled(text="restart it"))
    assert late.status_code == 422
    assert "You wrote: restart it" in late.text


def test_a_ta_attaches_opens_the_session_and_detaches(desk: ApiDesk, tomas: Browser) -> None:
    open_session(desk)
    done = tomas.send(ADA, "/attachments", reason="lab 2", minutes="20")
    assert done.status_code == 303, done.text
    assert desk.hub.shares.there == {Share(owner="ada", server_name="", ta="tomas")}
    page = tomas.get(ADA).text
    assert "You are attached to the session of ada." in page
    assert "20 min left" in page
    assert f'href="{HOST}/hub/user/ada/"' in page
    assert "tomas is attached already." in page
    detach = tomas.form("section/utc", "/end")
    over = tomas.post(detach.action, detach.filled())
    assert over.headers["location"] == "/services/gpulab/section/utc"
    assert desk.hub.shares.there == set()
    assert "Nobody." in tomas.get("section/utc").text


def test_what_is_wrong_with_an_attachment_stands_at_its_field(
    desk: ApiDesk, tomas: Browser
) -> None:
    open_session(desk)
    for reason, minutes in (("", "20"), ("x", "0"), ("x", "99999"), ("x", "many"), ("x", "-5"),
                            ("a\x00", "20"), ("x" * 9_000, "20")):  # fmt: skip
        reply = tomas.send(ADA, "/attachments", reason=reason, minutes=minutes)
        assert reply.status_code == 422, (reason, minutes)
        assert 'class="lab-fault"' in reply.text
        assert f'value="{minutes}"' in reply.text
    form = tomas.form(ADA, "/attachments")
    stale = tomas.post(form.action, [("server", "gone"), *form.filled(reason="x")[:2],
                                     ("reason", "x"), ("minutes", "20")])  # fmt: skip
    assert stale.status_code == 422
    assert "no running session of this name" in stale.text
    assert desk.hub.shares.there == set()


def test_a_closed_way_in_turns_the_button_off_and_says_why(desk: ApiDesk, tomas: Browser) -> None:
    assert "No session of theirs runs now." in tomas.get(ADA).text
    assert '<button class="btn btn-primary" disabled>Attach' in tomas.get(ADA).text
    open_session(desk, no_observing="The notebook's part for that is missing.")
    page = tomas.get(ADA).text
    assert "The notebook&#39;s part for that is missing." in page
    assert '<option value="co_edit"' in page
    assert '<option value="observe"' not in page
    by = By(actor="ada", request_id="")
    Helping(desk.books.books).choose("ada", "asking", by=by)
    page = tomas.get(ADA).text
    assert "lets TAs in only while asking for help" in page
    assert '<button class="btn btn-primary" disabled>Attach' in page


def test_a_hub_that_is_away_is_said(desk: ApiDesk, tomas: Browser) -> None:
    open_session(desk)
    desk.hub.shares.is_away = True
    assert post(tomas, "/attachments", reason="lab 2") == 303
    assert "the hub does not answer just now" in tomas.get(ADA).text


def test_a_lab_without_names_for_people_lets_nobody_in(engine: Engine) -> None:
    desk = Desk(engine)
    desk.run("ada", "whole")
    (way,) = ways_in(desk.books, "ada", has_own_host=False)
    ways = dict(way.why_not)
    assert all("no address of its own for each scholar" in one for one in ways.values())
    assert set(ways) == {"observe", "co_edit"}
