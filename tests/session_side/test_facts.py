"""What a session is told of itself, and what it may do."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from quota.gpu_use import SessionUse
from quota.idling import Idling
from quota.listings import passed_labs
from quota.session_states import SessionState
from tests.api.desk import problem
from tests.api.hub import user
from tests.api.office import open_session
from tests.quota.books import NOON, PROGRAM, lab_with
from tests.session_side.side import Side, session_scopes

# What asks nothing of the database that the others do not.
on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def attach(side: Side, mode: str = "observe", server: str = "", minutes: int = 10) -> str:
    body = {"hub_id": "main", "account": "ada", "server_name": server, "mode": mode,
            "minutes": minutes, "reason": "a question"}  # fmt: skip
    made = side.desk.call("PUT", f"/v1/attachments/{uuid4()}", "token-tomas", json=body)
    assert made.status_code == 200, made.text
    return str(made.json()["id"])


def test_a_session_sees_its_hours_its_gpu_and_its_end(side: Side) -> None:
    lease_id, _ = side.desk.books.run("ada", "quarter")
    side.desk.books.go(minutes=60, every_s=300)
    facts = side.facts()
    assert (facts["scholar"], facts["server_name"], facts["section"]) == ("ada", "", "utc")
    assert facts["flavor"] == {"name": "quarter", "title": "Quarter GPU", "is_gpu": True,
                               "weight_mgpu": 250}  # fmt: skip
    assert facts["gpu"] == {"name": "Virtual GPU", "share_mgpu": 250, "memory_mib": 4096,
                            "virtual": True}  # fmt: skip
    account = side.desk.get("/v1/accounts/ada").json()
    for name in ("available_mgpu_ms", "granted_mgpu_ms", "charged_mgpu_ms", "resets_at"):
        assert facts["balance"][name] == account[name], name
    assert (facts["balance"]["available_hours"], facts["balance"]["granted_hours"]) == (
        "9.71", "10.00")  # fmt: skip
    assert datetime.fromisoformat(facts["balance"]["lasts_until"]) > NOON
    (open_session_,) = account["sessions"]
    assert facts["session"] == {
        "lease_id": str(lease_id), "state": "active", "started_at": open_session_["started_at"],
        "charged_mgpu_ms": 900_000_000, "charged_hours": "0.25",
        "ends_at": open_session_["ends_at"], "end_text": None,
    }  # fmt: skip
    assert facts["server_time"] == (NOON + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    assert (facts["poll_after_s"], facts["warn_min"]) == (30, [60, 15, 5, 1])
    assert (facts["use"], facts["attached"], facts["help"]) == (None, [], None)
    assert facts["can"] == {"keep": True, "ask": True}
    assert facts["links"] == {
        "hours": "http://gpulab--service.lab.localhost/services/gpulab/hours",
        "hub_home": "http://lab.localhost/hub/home",
        "start": "http://lab.localhost/hub/spawn/ada",
    }  # fmt: skip


@on_sqlite
def test_a_session_without_a_gpu_has_none_and_cannot_keep_it(side: Side) -> None:
    side.desk.books.run("ada", "cpu")
    facts = side.facts()
    assert (facts["gpu"], facts["use"], facts["can"]["keep"]) == (None, None, False)
    assert facts["flavor"]["is_gpu"] is False
    assert facts["session"]["ends_at"] is None
    problem(side.put("/keep"), 404, "no_such_lease")


@on_sqlite
def test_the_last_five_minutes_are_looked_at_often_and_the_end_is_told(side: Side) -> None:
    lease_id, _ = side.desk.books.run("ada", "whole")
    ends_at = datetime.fromisoformat(side.facts()["session"]["ends_at"])
    side.desk.books.go(minutes=(ends_at - NOON).total_seconds() / 60 - 5, every_s=3600)
    assert side.facts()["poll_after_s"] == 5
    assert side.put("/done").json() == {"state": "stopping"}
    facts = side.facts()
    assert (facts["session"]["state"], facts["poll_after_s"]) == ("stopping", 5)
    assert facts["session"]["end_text"] == "The session was stopped on the page of GPU-hours."
    # Said twice, it is no error.
    again = side.put("/done")
    assert (again.status_code, again.json()) == (202, {"state": "stopping"})
    stops = side.desk.books.tick().stops
    assert [one.ref for one in stops] == [f"c-{lease_id}"]


@on_sqlite
@pytest.mark.parametrize("server", ["", "second"])
def test_each_server_has_its_own_lease_and_none_is_said_plainly(side: Side, server: str) -> None:
    side.follow(lab_with("policy: {sessions_per_scholar: 2}\n"))
    side.desk.hub.tokens["second"] = user("ada", *session_scopes(server="second"))
    mine, other = ("second" if server else "token-of-adas-session", "")
    for method, path in (("GET", "/facts"), ("GET", "/why"), ("PUT", "/done"), ("PUT", "/keep")):
        problem(side.call(method, path, mine), 404, "no_such_thing")
    side.desk.books.run("ada", "quarter", server or other)
    assert side.facts(mine)["server_name"] == server
    other = "token-of-adas-session" if server else "second"
    problem(side.call("GET", "/facts", other), 404, "no_such_thing")


@on_sqlite
def test_a_place_in_the_line_is_no_session(side: Side) -> None:
    for name in ("blaise", "chen"):
        side.desk.books.run(name, "whole")
    assert side.desk.books.ask("ada", "whole").lease.state == "waiting"
    problem(side.call("GET", "/facts"), 404, "no_such_thing")


def test_why_sums_to_the_balance(side: Side) -> None:
    side.desk.books.run("ada", "whole")
    side.desk.books.go(minutes=42, every_s=300)
    assert side.desk.grant("ada", "1.5").status_code == 200
    why = side.call("GET", "/why").json()
    assert len(why["lines"]) >= 3
    assert sum(line["amount_mgpu_ms"] for line in why["lines"]) == why["balance_mgpu_ms"]
    account = side.desk.get("/v1/accounts/ada").json()
    assert (why["balance_mgpu_ms"], why["available_mgpu_ms"]) == (
        account["balance_mgpu_ms"], account["available_mgpu_ms"])  # fmt: skip


def test_what_the_gpu_does_is_told_and_it_can_be_kept(side: Side) -> None:
    books = side.desk.books
    lease_id, _ = books.run("ada", "whole")
    Idling(books.books).note({lease_id: SessionState(state="holding", since=NOON)})
    use = side.facts()["use"]
    assert (use["state"], use["gpu_ratio"], use["memory_mib"]) == ("holding", None, None)
    assert datetime.fromisoformat(use["release_at"]) == NOON + timedelta(minutes=30)
    kept = side.put("/keep")
    assert kept.status_code == 200, kept.text
    assert datetime.fromisoformat(kept.json()["kept_until"]) == NOON + timedelta(minutes=30)
    books.run("blaise", "whole")
    books.ask("chen", "whole")
    assert side.facts()["can"]["keep"] is False
    problem(side.put("/keep"), 409, "gpu_is_wanted")


def test_how_busy_the_gpu_is_is_told_as_long_as_it_is_known(side: Side) -> None:
    books = side.desk.books
    lease_id, _ = books.run("ada", "whole")
    now = books.clock.now()
    busy = SessionUse(seen_at=now, busy_percent=42, held_mib=3072, minutes=(42,))
    Idling(books.books).note({lease_id: SessionState(state="training", since=now)},
                             {lease_id: busy})  # fmt: skip
    use = side.facts()["use"]
    assert (use["state"], use["gpu_ratio"], use["memory_mib"]) == ("training", 0.42, 3072)
    books.clock.advance(timedelta(minutes=10))
    use = side.facts()["use"]
    assert (use["gpu_ratio"], use["memory_mib"]) == (None, None)


def test_a_raised_hand_reaches_the_tas_and_tells_its_place(side: Side) -> None:
    side.desk.books.run("ada", "cpu")
    earlier = {"hub_id": "main", "message": "first"}
    made = side.desk.call("PUT", f"/v1/help-requests/{uuid4()}", "token-blaise", json=earlier)
    assert made.status_code == 200
    side.desk.books.clock.advance(timedelta(seconds=1))
    request_id = uuid4()
    asked = side.ask("the loss is NaN", request_id, path="work/week-2.ipynb")
    assert asked.status_code == 200, asked.text
    expected = {"id": str(request_id), "state": "waiting", "place": 2, "claimed_by": None,
                "message": "the loss is NaN"}  # fmt: skip
    assert {name: asked.json()[name] for name in expected} == expected
    assert side.ask("the loss is NaN", request_id, path="work/week-2.ipynb").json() == asked.json()
    assert side.facts()["help"] == asked.json()
    assert side.facts()["can"]["ask"] is False
    seen = side.desk.get("/v1/help-requests?account=ada", "token-tomas").json()["help_requests"]
    assert [(one["message"], one["path"], one["server_name"]) for one in seen] == [
        ("the loss is NaN", "work/week-2.ipynb", "")
    ]
    problem(side.ask("another"), 409, "already_decided")
    claim = f"/v1/help-requests/{request_id}/claim"
    assert side.desk.call("PUT", claim, "token-tomas").status_code == 200
    assert side.facts()["help"] | {"raised_at": ""} == expected | {
        "state": "claimed", "place": None, "claimed_by": "tomas", "raised_at": ""}  # fmt: skip
    taken_back = side.put(f"/help/{request_id}/withdraw").json()
    assert (taken_back["state"], taken_back["place"]) == ("withdrawn", None)
    assert side.facts()["help"] is None


def test_others_requests_and_ids_are_nobodys(side: Side) -> None:
    side.desk.books.run("ada", "cpu")
    theirs = uuid4()
    body = {"hub_id": "main", "message": "mine"}
    side.desk.call("PUT", f"/v1/help-requests/{theirs}", "token-blaise", json=body)
    problem(side.put(f"/help/{theirs}/withdraw"), 404, "no_such_thing")
    problem(side.put(f"/help/{uuid4()}/withdraw"), 404, "no_such_thing")
    problem(side.ask("mine", theirs), 409, "id_conflict")


def test_a_visit_is_shown_while_it_lasts_and_ended_from_the_notebook(side: Side) -> None:
    side.follow(lab_with("policy: {sessions_per_scholar: 2}\n"))
    lease_id, _ = side.desk.books.run("ada", "cpu")
    other, _ = side.desk.books.run("ada", "cpu", "second")
    for one in (lease_id, other):
        open_session(side.desk, one)
    attachment_id = attach(side)
    (visit,) = side.facts()["attached"]
    until = visit.pop("until")
    assert visit == {"id": attachment_id, "ta": "tomas", "mode": "observe",
                     "reason": "a question"}  # fmt: skip
    assert datetime.fromisoformat(until) == NOON + timedelta(minutes=10)
    assert side.desk.hub.shares.there
    ended = side.put(f"/attachments/{attachment_id}/end")
    assert (ended.status_code, ended.content) == (204, b"")
    assert not side.desk.hub.shares.there
    assert side.facts()["attached"] == []
    (shown,) = side.desk.get("/v1/accounts/ada/attachments", "token-ada").json()["attachments"]
    assert shown["end_reason"] == "scholar_ended"
    # A visit at another session, and one at somebody else's, are not this session's to end.
    second = attach(side, server="second")
    problem(side.put(f"/attachments/{second}/end"), 404, "no_such_thing")
    problem(side.put(f"/attachments/{uuid4()}/end"), 404, "no_such_thing")
    # One whose time is over is not shown although nobody has written its end yet.
    side.desk.books.clock.advance(timedelta(minutes=11))
    assert side.facts()["attached"] == []


def test_labs_are_passed_once_and_the_first_time_counts(side: Side) -> None:
    side.desk.books.run("ada", "cpu")
    first = side.put("/labs/week-3/passed")
    assert first.json() == {"lab": "week-3", "passed_at": "2026-11-25T12:00:00Z"}
    side.desk.books.clock.advance(timedelta(hours=1))
    assert side.put("/labs/week-3/passed").json() == first.json()
    assert side.put("/labs/week-1/passed").status_code == 200
    assert side.facts()["labs_passed"] == ["week-3", "week-1"]
    found = [(who, one.name) for who, one in passed_labs(side.desk.books.books, ["ada", "blaise"])]
    assert found == [("ada", "week-3"), ("ada", "week-1")]


@on_sqlite
@pytest.mark.parametrize(
    ("program", "last", "beyond"), [("", 9, 10), (PROGRAM, 4, 5)], ids=["images", "program"]
)
def test_the_labs_are_those_of_the_programs_weeks(
    side: Side, program: str, last: int, beyond: int
) -> None:
    side.follow(lab_with(program))
    side.desk.books.run("ada", "cpu")
    assert side.put(f"/labs/week-{last}/passed").status_code == 200
    refused = problem(side.put(f"/labs/week-{beyond}/passed"), 404, "no_such_thing")
    assert f"week-1 to week-{last}" in refused["detail"]
    for name in ("week-0", "week-01", "lab", "week-1x"):
        problem(side.put(f"/labs/{name}/passed"), 404, "no_such_thing")


@on_sqlite
def test_what_was_told_a_moment_ago_is_told_again_until_something_changes(side: Side) -> None:
    side.desk.books.run("ada", "cpu")
    first = side.call("GET", "/facts").json()
    reads: list[Any] = []
    books = side.desk.books.books
    now = books.clock.now
    books.clock.now = lambda: reads.append(1) or now()  # type: ignore[method-assign, func-returns-value]
    assert side.call("GET", "/facts").json() == first
    assert reads == []
    assert side.put("/labs/week-1/passed").status_code == 200
    assert side.call("GET", "/facts").json()["labs_passed"] == ["week-1"]
    assert reads
