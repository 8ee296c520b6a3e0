"""A scholar's page: what runs, what it costs, and the deeds that are there."""

from datetime import timedelta
from uuid import uuid4

import pytest

from quota.idling import Idling
from quota.session_states import SessionState
from tests.api.desk import ApiDesk
from tests.pages.browser import Browser

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def test_what_runs_is_shown_and_stopped_from_the_page(desk: ApiDesk, ada: Browser) -> None:
    lease_id, _ = desk.books.run("ada")
    desk.books.go(every_s=60, minutes=30)
    page = ada.get("hours").text
    for text in ("100 % of Virtual GPU, 16 GiB", "running", "0.50 GPU-hours so far",
                 "9.50 GPU-hours</p>", "1 GPU-hour per hour", "Left, set aside", "in 9 h 30 min",
                 "http://lab.localhost:8000/hub/user/ada/"):  # fmt: skip
        assert text in page, text
    # The part that refreshes shows the same, and by itself.
    part = ada.get("hours/now").text
    assert "0.50 GPU-hours so far" in part
    assert "<html" not in part
    done = ada.send("hours", f"{lease_id}/stop")
    assert (done.status_code, done.headers["location"]) == (303, "/services/gpulab/hours")
    assert "Your session is being stopped" in ada.get("hours").text
    assert [order.reason for order in desk.books.tick().stops] == ["scholar"]
    again = ada.get("hours").text
    assert "Stopping…" in again
    assert "/stop" not in again


def test_the_line_is_shown_and_left(desk: ApiDesk, ada: Browser) -> None:
    desk.books.run("blaise")
    desk.books.run("chen")
    lease_id = desk.books.ask("ada").lease.id
    page = ada.get("hours").text
    for text in ("1 of 1 in the line", "All GPUs of this kind are taken", "Leave the line"):
        assert text in page, text
    form = ada.form("hours", f"{lease_id}/leave")
    assert ada.post(form.action, form.filled()).status_code == 303
    assert "You left the line" in ada.get("hours").text
    # An old page does not stop what was started since.
    desk.books.clock.advance(timedelta(minutes=1))
    running, _ = desk.books.run("ada", "cpu")
    assert ada.post(form.action.replace(str(lease_id), str(running)), form.filled()).is_redirect
    assert "You are not in the line any more" in ada.get("hours").text
    assert desk.books.books.lease(running).lease.state == "active"


def test_an_idle_gpu_is_kept_from_the_page_unless_somebody_waits(
    desk: ApiDesk, ada: Browser
) -> None:
    lease_id, _ = desk.books.run("ada")
    since = desk.books.clock.now()
    desk.books.go(every_s=300, minutes=22)
    Idling(desk.books.books).note({lease_id: SessionState(state="empty", since=since)})
    page = ada.get("hours").text
    assert "not used for 22 min; given to others in 10 min if it stays so" in page
    form = ada.form("hours", f"{lease_id}/keep")
    assert ada.post(form.action, form.filled()).status_code == 303
    assert "The GPU is kept until Wednesday, 25 November at 12:52 (UTC)." in ada.get("hours").text
    desk.books.run("blaise")
    desk.books.ask("chen")
    assert ada.post(form.action, form.filled()).status_code == 303
    assert "Somebody waits for a GPU" in ada.get("hours").text


def test_sessions_of_others_are_not_there(desk: ApiDesk, ada: Browser, olga: Browser) -> None:
    lease_id, _ = desk.books.run("blaise")
    form = ada.form("hours", "sign-out")
    for deed in ("stop", "leave", "keep"):
        for one in (lease_id, uuid4()):
            action = f"/services/gpulab/hours/sessions/{one}/{deed}"
            assert ada.post(action, form.filled()).status_code == 404
    mine = olga.form("hours", "sign-out").filled()
    assert olga.post(f"/services/gpulab/hours/sessions/{lease_id}/stop", mine).status_code == 404
    assert desk.books.books.lease(lease_id).lease.state == "active"
