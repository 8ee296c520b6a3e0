"""Hours from organizers: answers to requests, one grant, many grants, each once and with a why."""

import csv
import io
from uuid import uuid4

import pytest

from quota.amount import GpuTime
from tests.api.desk import ApiDesk
from tests.api.office import ask_hours
from tests.pages.browser import Browser
from tests.pages.program.forms import labelled

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def left(desk: ApiDesk, name: str) -> GpuTime:
    return desk.books.books.account(name).available


def test_requests_are_approved_in_part_or_denied_with_a_sentence(
    desk: ApiDesk, olga: Browser
) -> None:
    first, second = uuid4(), uuid4()
    assert ask_hours(desk, "3", request_id=first).status_code == 200
    assert ask_hours(desk, "4", request_id=second).status_code == 200
    form = olga.form("program/requests", f"{first}/answer")
    assert dict(form.fields)["hours"] == "3"

    approve, deny = ("decision", "approve"), ("decision", "deny")
    wrong = olga.post(form.action, [*form.filled(hours="many", text="<b>"), approve])
    assert wrong.status_code == 422
    assert 'value="many"' in wrong.text
    assert "&lt;b&gt;" in wrong.text
    done = olga.post(form.action, [*form.filled(hours="1.5", text="half now"), approve])
    assert done.status_code == 303
    assert "1.50 GPU-hours of ada" in olga.get("program/requests").text
    assert left(desk, "ada") == GpuTime.hours("11.5") + GpuTime.hours(4)  # the review's four
    # Sent twice, it is done once; another answer comes too late, and says so.
    again = olga.post(form.action, [*form.filled(hours="1.5", text="half now"), approve])
    assert again.status_code == 303
    late = olga.post(form.action, [*form.filled(hours="2", text=""), approve])
    assert late.status_code == 422
    assert "is approved already" in late.text

    form = olga.form("program/requests", f"{second}/answer")
    mute = olga.post(form.action, [*form.filled(text=""), deny])
    assert mute.status_code == 422
    assert "why not" in mute.text
    done = olga.post(form.action, [*form.filled(text="Next week again."), deny])
    assert done.status_code == 303
    page = olga.get("program/requests").text
    assert "Nobody asks for anything" in page
    assert "Next week again." in page


def test_one_person_gets_hours_once(desk: ApiDesk, olga: Browser) -> None:
    before = left(desk, "blaise")
    for path, action, more in (("program/grants", "program/grants", {"account": "blaise"}),
                               ("program/people/blaise", "blaise/grants", {})):  # fmt: skip
        form = olga.form(path, action)
        typed = form.filled(hours="2", reason="the talk", until="2026-12-24", **more)
        assert [olga.post(form.action, typed).status_code for _ in range(2)] == [303, 303]
    assert left(desk, "blaise") == before + GpuTime.hours(4)
    page = olga.get("program/people/blaise").text
    assert page.count("the talk") >= 2
    assert "25 December at 00:00" in page
    for wrong in ({"account": "nobody"}, {"hours": "0"}, {"until": "soon"}, {"reason": ""},
                  {"until": "2020-01-01"}):  # fmt: skip
        good = {"account": "blaise", "hours": "1", "reason": "x"}
        reply = olga.send("program/grants", "program/grants", **(good | wrong))
        assert reply.status_code == 422, wrong
        assert reply.text.count('class="lab-fault"') == 1, wrong


def test_many_are_chosen_tried_confirmed_and_given_once(desk: ApiDesk, olga: Browser) -> None:
    before = {name: left(desk, name) for name in ("ada", "blaise", "chen")}
    form = olga.form("program/grants/bulk?section=utc", "grants/bulk")
    nobody = olga.post(form.action, form.filled(who=[], hours="1", reason="x"))
    assert "Choose somebody" in nobody.text
    tried = olga.post(form.action, form.filled(who=["ada", "blaise"], hours="1.25",
                                               reason='a, "b"'))  # fmt: skip
    assert "would get 2.50 GPU-hours" in tried.text
    assert left(desk, "ada") == before["ada"]
    sent = labelled(tried, "Give it, or go back").fields
    back = olga.post(form.action, [*sent, ("agreed", "back")])
    assert back.text.count(" checked") == 2
    # Something else than was tried is shown, not given.
    other = [(n, v.replace("1.25", "9")) if n == "csv" else (n, v) for n, v in sent]
    assert "What would be given" in olga.post(form.action, [*other, ("agreed", "yes")]).text
    for _ in range(2):
        done = olga.post(form.action, [*sent, ("agreed", "yes")])
        assert done.status_code == 303
    assert left(desk, "ada") == before["ada"] + GpuTime.hours("1.25")
    assert left(desk, "chen") == before["chen"]
    place = done.headers["location"].removeprefix("/services/gpulab/")
    assert "2 people got 2.50 GPU-hours" in olga.get(place).text
    file = olga.get(f"{place}/result.csv")
    rows = list(csv.DictReader(io.StringIO(file.text)))
    assert [(one["account"], one["hours"], one["reason"]) for one in rows] == [
        ("ada", "1.25", 'a, "b"'), ("blaise", "1.25", 'a, "b"')]  # fmt: skip
    assert olga.get(f"program/grants/bulk/{uuid4()}").status_code == 404


def test_a_csv_says_what_is_wrong_line_by_line(olga: Browser) -> None:
    action = "/services/gpulab/program/grants/bulk"
    form = labelled(olga.get("program/grants/bulk"), "Bring a CSV")
    text = "account,hours,reason\nada,1,x\nnobody,1,x\nada,2,y\nblaise,many,=1+1\nchen,1,\n"
    reply = olga.post(action, form.filled(csv=text))
    assert reply.status_code == 422
    for said in ("knows nobody", "stands in line 2 already", "needs a reason"):
        assert said in reply.text
    assert "4 lines cannot be granted" in reply.text
    assert "Give the hours" not in reply.text
    for empty in ("", "account\n", "account,hours,reason\n", "\x00", "a" * 200_000):
        assert olga.post(action, form.filled(csv=empty)).status_code == 422, empty[:20]
    many = "account,hours,reason\n" + "ada,1,x\n" * 20_000
    assert olga.post(action, form.filled(csv=many)).status_code == 422
