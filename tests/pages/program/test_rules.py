"""Rules on the pages: looked at before they are made, never lost, never somebody else's undone."""

import pytest

from quota.amount import GpuTime
from quota.audit import By
from tests.api.desk import ApiDesk
from tests.pages.browser import Browser
from tests.pages.program.forms import labelled

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)

YES, BACK = ("agreed", "yes"), ("agreed", "back")
AGREE = "Make the change, or go back"


def test_hours_are_changed_after_a_look_at_who_is_affected(desk: ApiDesk, olga: Browser) -> None:
    path = "program/edit/hours/utc"
    form = olga.form(path, path)
    assert dict(form.fields)["hours_per_week"] == "10"
    wrong = olga.post(form.action, form.filled(hours_per_week="-1", reason="", **{
        "hours_in_weeks-2": "a lot"}))  # fmt: skip
    assert wrong.status_code == 422
    assert "Write why" in wrong.text
    wrong = olga.post(form.action, form.filled(hours_per_week="-1", reason="x", **{
        "hours_in_weeks-2": "a lot"}))  # fmt: skip
    assert wrong.text.count('class="lab-fault"') == 2
    assert 'value="a lot"' in wrong.text

    typed = form.filled(hours_per_week="12", reason="a gift", **{"hours_in_weeks-2": "5"})
    look = olga.post(form.action, typed)
    assert look.status_code == 200
    assert "The hours of 4 scholars change" in look.text
    assert "14.00 → 16.00" in look.text  # with the review's four
    assert "week 2: 10.00 → 5.00" in look.text
    assert desk.books.books.account("ada").granted == GpuTime.hours(14)
    agree = labelled(look, AGREE).fields
    assert 'value="12"' in olga.post(form.action, [*agree, BACK]).text
    for _ in range(2):  # sent twice, done once
        done = olga.post(form.action, [*agree, YES])
        assert (done.status_code, done.headers["location"]) == (
            303, "/services/gpulab/program/hours")  # fmt: skip
    assert "12.00" in olga.get("program/hours").text
    desk.books.books.reload_rules()
    assert desk.books.books.account("ada").granted == GpuTime.hours(16)
    trail = [one for one in desk.books.office.trail() if one.action == "sections.change"]
    assert [(one.actor, one.reason) for one in trail] == [("olga", "a gift")]


def test_a_stale_edit_says_so_keeps_what_was_typed_and_can_be_sent_again(
    desk: ApiDesk, olga: Browser
) -> None:
    path = "program/edit/hours/berlin"
    form = olga.form(path, path)
    look = olga.post(form.action, form.filled(hours_per_week="2", reason="x"))
    agree = labelled(look, AGREE).fields
    rule, _ = desk.books.office.rule("sections", "berlin")
    desk.books.office.change_rule("sections", "berlin", rule | {"hours_per_week": "5"}, tag=None,
                                  by=By(actor="omar"), reason="mine")  # fmt: skip
    late = olga.post(form.action, [*agree, YES])
    assert late.status_code == 422
    assert "Somebody else changed this" in late.text
    assert "Now it says: 5" in late.text
    again = labelled(late, "Change berlin")
    assert dict(again.fields)["hours_per_week"] == "2"
    look = olga.post(form.action, again.fields)
    assert "5.00 → 2.00" in look.text
    assert olga.post(form.action, [*labelled(look, AGREE).fields, YES]).status_code == 303
    # The same before a look: an old form says so at once.
    assert olga.post(form.action, form.filled(hours_per_week="3", reason="x")).status_code == 422


def test_what_differs_for_one_scholar_can_be_set_and_taken_back(
    desk: ApiDesk, olga: Browser
) -> None:
    path = "program/edit/scholars/ada"
    form = olga.form(path, path)
    wrong = olga.post(form.action, form.filled(reason="x", absences="next week", sessions="two"))
    assert wrong.text.count('class="lab-fault"') == 2
    wrong = olga.post(form.action, form.filled(reason="x", absences="2: 1"))
    assert "is not after the absence" in wrong.text
    typed = form.filled(
        reason="exam", hours_per_week="3", sessions="2", absences="2: 3", opted_out="yes"
    )
    look = olga.post(form.action, typed)
    assert "14.00 → 7.00" in look.text
    done = olga.post(form.action, [*labelled(look, AGREE).fields, YES])
    assert done.headers["location"] == "/services/gpulab/program/people/ada"
    page = olga.get("program/people/ada").text
    for said in ("3.00 GPU-hours each week", "2 sessions at once", "opted out",
                 "Away in week 2; its hours go to week 3"):  # fmt: skip
        assert said in page
    form = olga.form(path, path)
    look = olga.post(form.action, [*form.filled(reason="over"), ("remove", "yes")])
    assert "would be removed" in look.text
    agree = labelled(look, AGREE).fields
    assert [olga.post(form.action, [*agree, YES]).status_code for _ in range(2)] == [303, 303]
    assert "the section's rules hold" in olga.get("program/people/ada").text


def test_due_dates_and_blackouts_are_added_changed_and_removed(
    desk: ApiDesk, olga: Browser
) -> None:
    new = olga.form("program/edit/due-dates", "edit/due-dates")
    for name in ("", "No Name", "review"):
        reply = olga.post(new.action, new.filled(name=name, title="T", due="2026-12-01T10:00",
                                                 reason="x"))  # fmt: skip
        assert reply.status_code == 422, name
        assert 'value="T"' in reply.text
    look = olga.post(new.action, new.filled(name="talk", title="The talk", hours="2",
                                            due="2026-12-01T10:00", reason="x"))  # fmt: skip
    assert "week 2: 10.00 → 12.00" in look.text
    agree = labelled(look, AGREE).fields
    assert [olga.post(new.action, [*agree, YES]).status_code for _ in range(2)] == [303, 303]
    assert "2026-12-01 10:00" in olga.get("program/calendar").text

    path = "program/edit/due-dates/talk"
    form = olga.form(path, path)
    assert dict(form.fields)["due"] == "2026-12-01T10:00"
    look = olga.post(form.action, [*form.filled(reason="x"), ("remove", "yes")])
    assert olga.post(form.action, [*labelled(look, AGREE).fields, YES]).status_code == 303
    assert "The talk" not in olga.get("program/calendar").text
    assert olga.get(path).status_code == 404

    new = olga.form("program/edit/blackouts", "edit/blackouts")
    typed = {"name": "move", "title": "Moving", "reason": "x", "starts": "2026-11-28T08:00"}
    wrong = olga.post(new.action, new.filled(**typed, ends="2026-11-28T07:00"))
    assert "before it has begun" in wrong.text
    look = olga.post(new.action, new.filled(**typed, ends="2026-11-28T12:00"))
    assert olga.post(new.action, [*labelled(look, AGREE).fields, YES]).status_code == 303
    assert "Moving" in olga.get("program/calendar").text
    desk.books.books.reload_rules()
    assert "move" in desk.books.books.lab.blackouts


def test_who_supports_a_section_and_when_it_meets(desk: ApiDesk, olga: Browser) -> None:
    path = "program/edit/sections/berlin"
    form = olga.form(path, path)
    wrong = olga.post(form.action, form.filled(reason="x", time_zone="Berlin",
                                               co_working="mondays"))  # fmt: skip
    assert "mondays" in wrong.text
    wrong = olga.post(form.action, form.filled(reason="x", time_zone="Berlin"))
    assert "Europe/Berlin" in wrong.text
    look = olga.post(form.action, form.filled(
        reason="x", tas="tilda, tomas", reserved_gpus="1",
        co_working="Monday 10:00-12:00\nfriday 9:00 to 10:00"))  # fmt: skip
    assert olga.post(form.action, [*labelled(look, AGREE).fields, YES]).status_code == 303
    desk.books.books.reload_rules()
    berlin = desk.books.books.lab.sections["berlin"]
    assert berlin.tas == ("tilda", "tomas")
    assert [(one.day, one.starts, one.ends) for one in berlin.co_working] == [
        ("monday", 600, 720), ("friday", 540, 600)]  # fmt: skip
    assert berlin.scholars == ("emeka",)  # what the form does not show stays
    assert olga.get("program/edit/sections/nowhere").status_code == 404
    assert olga.get("program/edit/flavors/cpu").status_code == 404
