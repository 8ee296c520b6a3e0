"""Sessions, GPUs, sections and the trail, as organizers run them."""

import csv
import io
import json
from uuid import uuid4

import pytest

from quota.audit import By
from quota.store.engine import transaction
from quota.store.trail import write_audit
from tests.api.desk import ApiDesk
from tests.pages.browser import Browser
from tests.pages.program.forms import labelled

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def test_the_overview_counts_and_names_what_needs_a_look(desk: ApiDesk, olga: Browser) -> None:
    page = olga.get("program").text
    assert "The worker has not looked at the sessions yet" in page
    desk.books.run("ada", "whole")
    desk.books.ask("blaise", "whole")
    desk.books.ask("chen", "whole")
    desk.books.tick()
    page = olga.get("program/live").text
    for said in ("<b>1</b> running on GPUs", "<b>1</b> starting", "<b>1</b> waiting",
                 "<b>0.00 of 2</b> GPUs free"):  # fmt: skip
        assert said in page
    assert "What needs a look" not in page
    desk.books.go(minutes=5)
    assert "0.08" in olga.get("program/live").text


def test_a_session_is_stopped_with_a_reason_that_its_scholar_reads(
    desk: ApiDesk, olga: Browser
) -> None:
    lease_id, _ = desk.books.run("ada", "whole")
    assert str(lease_id) in olga.get("program/sessions").text
    path = f"program/sessions/{lease_id}"
    for reason in ("", "a\nb", "x" * 501):
        reply = olga.send(path, "/stop", reason=reason)
        assert reply.status_code == 422
    assert desk.books.books.lease(lease_id).lease.state == "active"
    for place, back in (("person", "program/people/ada"), ("", "program/sessions")):
        done = olga.send(f"{path}?back={place}", "/stop", reason="the lab moves")
        assert done.headers["location"] == f"/services/gpulab/{back}"
    lease = desk.books.books.lease(lease_id).lease
    assert (lease.state, lease.stop_reason) == ("stopping", "organizer")
    notices = [one.text for one in desk.books.books.account("ada").notices]
    assert notices == ["An organizer stopped your session: the lab moves"]
    stops = [one for one in desk.books.office.trail() if one.action == "session.stop"]
    assert [(one.actor, one.subject, one.reason) for one in stops] == [
        ("olga", "ada", "the lab moves")]  # fmt: skip
    desk.books.go(seconds=30)
    assert olga.get(f"program/sessions/{uuid4()}").status_code == 404


def test_a_drained_gpu_takes_nobody_until_it_is_used_again(desk: ApiDesk, olga: Browser) -> None:
    assert olga.send("program/gpus", "GPU-0/drain", reason="").status_code == 422
    assert olga.send("program/gpus", "GPU-0/drain", reason="its fan").status_code == 303
    assert olga.send("program/gpus", "GPU-1/drain", reason="its fan").status_code == 303
    desk.books.books.reload_rules()
    assert "drained: its fan" in olga.get("program/gpus").text
    assert "No GPU is in service" in olga.get("program").text
    form = olga.form("program/gpus", "GPU-0/undrain")
    typed = form.filled(reason="new fan")
    assert [olga.post(form.action, typed).status_code for _ in range(2)] == [303, 303]
    desk.books.books.reload_rules()
    assert set(desk.books.books.lab.drained_gpus) == {"GPU-1"}
    wrong = form.action.replace("GPU-0/undrain", "GPU-9/drain")
    assert olga.post(wrong, typed).status_code == 404


def test_a_roster_is_tried_and_then_taken_over(desk: ApiDesk, olga: Browser) -> None:
    form = olga.form("program/sections", "sections/roster")
    for text in ("", "who\n", "name,section\nada,nowhere\n", "name,section\nA B,utc\n",
                 "name,section\nada,utc\nada,utc\n", "\x00"):  # fmt: skip
        reply = olga.post(form.action, form.filled(csv=text, reason="x"))
        assert reply.status_code == 422, text
    text = "name,section\nada,berlin\nnewcomer,utc\nblaise,utc\n"
    tried = olga.post(form.action, form.filled(csv=text, reason="week 2", remove="yes"))
    assert "1 scholars are new, 1 move, 3 are taken out, 1 stay" in tried.text
    agree = labelled(tried, "Take it over, or go back").fields
    assert "name,section" in olga.post(form.action, [*agree, ("agreed", "back")]).text
    # Somebody else changed the sections since: it is shown anew before it is done.
    assert olga.send("program/people/chen", "chen/section", section="berlin",
                     reason="moved").status_code == 303  # fmt: skip
    desk.books.books.reload_rules()
    assert desk.books.books.lab.section_name_of("chen") == "berlin"
    again = olga.post(form.action, [*agree, ("agreed", "yes")])
    assert again.status_code == 200
    agree = labelled(again, "Take it over, or go back").fields
    assert olga.post(form.action, [*agree, ("agreed", "yes")]).status_code == 303
    desk.books.books.reload_rules()
    assert desk.books.books.lab.roster == {
        "ada": "berlin", "newcomer": "utc", "blaise": "utc"}  # fmt: skip
    wrong = olga.send("program/people/ada", "ada/section", section="nowhere", reason="")
    assert wrong.text.count('class="lab-fault"') == 2


def test_the_trail_is_filtered_paged_and_exported(desk: ApiDesk, olga: Browser) -> None:
    with transaction(desk.books.engine, step="grant") as tx:
        for number in range(60):
            write_audit(tx, By(actor="olga"), "grant", "ada" if number % 2 else "blaise",
                        hub_id="main", at=desk.books.clock.now(), reason=f"=cmd {number}",
                        after={"hours": "1"})  # fmt: skip
    page = olga.get("program/audit").text
    assert page.count("<summary>Show") == 50
    assert "before=11" in page
    older = olga.get("program/audit?before=11").text
    assert older.count("<summary>Show") == 10
    only = olga.get("program/audit?subject=ada&actor=olga").text
    assert only.count("<summary>Show") == 30
    assert "Nothing." in olga.get("program/audit?actor=nobody").text
    assert desk.books.office.trail_head().text() in page
    rows = list(csv.DictReader(io.StringIO(olga.get("program/audit.csv?subject=ada").text)))
    assert len(rows) == 30
    assert rows[0]["reason"].startswith("'=cmd")
    lines = olga.get("program/audit.jsonl").text.splitlines()
    assert [json.loads(one)["seq"] for one in lines] == list(range(1, 61))
    assert olga.get("program/audit.csv?actor=nobody").text.startswith("seq,at,actor")
    for bad in ("before=0", "before=x", f"actor={'x' * 300}"):
        assert olga.get(f"program/audit?{bad}").status_code == 422
    assert olga.get("program/audit.xlsx").status_code == 422


def test_all_changes_can_be_had_as_a_patch_of_the_file(desk: ApiDesk, olga: Browser) -> None:
    assert "what lab.yaml says holds" in olga.get("program/settings").text
    assert olga.get("program/settings/lab.patch").text == ""
    assert olga.send("program/gpus", "GPU-0/drain", reason="its fan").status_code == 303
    page = olga.get("program/settings").text
    assert "drained_gpus: GPU-0" in page
    patch = olga.get("program/settings/lab.patch")
    assert patch.headers["content-disposition"] == 'attachment; filename="lab.patch"'
    assert "\n+drained_gpus:\n" in patch.text
    assert "GPU-0" in olga.get("program/settings/changes.yaml").text
    desk.lab_file.write_text("name: [")
    assert olga.get("program/settings/lab.patch").status_code == 409
