"""What the home page is told."""

import json
from datetime import timedelta

import pytest

from hub.client import ServiceUnavailable
from hub.home import Books, home_view
from hub.replies import GpuState
from tests.hub.doubles import FixedLab, ScriptedService, refusal, run
from tests.hub.shown import LEASE, account, notice, session
from tests.quota.books import NOON, make_lab

LAB = make_lab()


def test_a_running_session_says_when_it_ends() -> None:
    view = home_view(account(sessions=[session()]), LAB)
    assert view["balance"] == "9.75 GPU-hours left"
    assert view["sessions"] == [{
        "server_name": "", "title": "Whole GPU", "state": "running",
        "started": "Wednesday, 25 November at 07:00 (America/New_York)",
        "ends": "Wednesday, 25 November at 08:30 (America/New_York)", "left": "1 h 30 min",
        "gpu": "", "can_keep": False, "keeps_place": False, "turn": None,
    }]  # fmt: skip
    json.dumps(view)


def test_a_session_without_a_gpu_does_not_end_by_the_hours() -> None:
    view = home_view(account(sessions=[session(flavor="cpu", weight_mgpu=0)]), LAB)
    assert (view["sessions"][0]["ends"], view["sessions"][0]["left"]) == ("", "")


def test_a_flavor_that_is_gone_from_the_lab_has_its_name() -> None:
    view = home_view(account(sessions=[session(flavor="old")]), LAB)
    assert view["sessions"][0]["title"] == "old"


def test_the_newest_warning_while_running_and_then_why_it_was_stopped() -> None:
    told = [notice("warning", "60 minutes left.", minutes=55),
            notice("warning", "5 minutes left.", minutes=1),
            notice("stopped", "Stopped yesterday.", hours=20)]  # fmt: skip
    running = home_view(account(sessions=[session()], notices=told), LAB)
    assert [one["text"] for one in running["notices"]] == [
        "5 minutes left.", "Stopped yesterday."]  # fmt: skip
    told.append(notice("stopped", "Stopped: the hours are used up.", minutes=0))
    after = home_view(account(notices=told), LAB)
    assert [one["text"] for one in after["notices"]] == ["Stopped: the hours are used up."]


def test_old_notices_are_not_news() -> None:
    assert home_view(account(notices=[notice("stopped", hours=25)]), LAB)["notices"] == []


@pytest.mark.parametrize("error", [ServiceUnavailable("x"), refusal("no_such_account")])
def test_p27_without_the_service_there_is_a_sentence(error: Exception) -> None:
    view = run(Books(ScriptedService(account_reply=error), FixedLab()).of("ada"))
    assert view["answered"] is False
    assert view["sentence"]


def test_many_open_pages_ask_the_service_once_in_a_while() -> None:
    service = ScriptedService(account_reply=account())
    now = [0.0]
    books = Books(service, FixedLab(), monotonic=lambda: now[0])

    async def look() -> None:
        await books.of("ada")
        await books.of("ada")
        await books.of("blaise")
        assert service.times_shown == 2
        now[0] = 5.1
        await books.of("ada")
        assert service.times_shown == 3

    run(look())


def idle(release_in_min: int | None) -> dict[str, object]:
    at = None if release_in_min is None else NOON + timedelta(minutes=release_in_min)
    return {"state": "holding", "release_at": at, "kept_until": None}


def test_an_idle_gpu_shows_with_the_time_left_and_the_way_to_keep_it() -> None:
    told = [notice("idle", "Your session does nothing on its GPU.", minutes=1)]
    shown = home_view(account(sessions=[session(gpu_state=idle(9))], notices=told), LAB)
    assert "given to others in 9 min" in shown["sessions"][0]["gpu"]
    assert shown["sessions"][0]["can_keep"]
    assert [one["kind"] for one in shown["notices"]] == ["idle"]
    kept = home_view(account(sessions=[session(gpu_state=idle(29))], notices=told), LAB)
    assert kept["notices"] == [], "that is no news any more"
    used = home_view(account(sessions=[session(gpu_state=idle(None))], notices=told), LAB)
    assert (used["sessions"][0]["can_keep"], used["notices"]) == (False, [])


def test_the_answer_keeps_the_gpu_of_the_own_session_only() -> None:
    state = GpuState(state="holding", release_at=None, kept_until=NOON + timedelta(minutes=30))
    service = ScriptedService(account_reply=account(sessions=[session()]), keep_reply=state)
    books = Books(service, FixedLab())
    assert "kept until Wednesday, 25 November at 07:30" in run(books.keep("ada", ""))
    assert "does not run" in run(books.keep("ada", "other"))
    assert service.kept == [LEASE]


@pytest.mark.parametrize("error", [ServiceUnavailable("x"), refusal("gpu_is_wanted")])
def test_an_answer_that_does_not_count_is_said(error: Exception) -> None:
    service = ScriptedService(account_reply=account(sessions=[session()]), keep_reply=error)
    assert run(Books(service, FixedLab()).keep("ada", ""))
