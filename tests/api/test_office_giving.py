"""Giving, asking, refunding, attaching over HTTP."""

from datetime import timedelta
from uuid import uuid4

import pytest

from tests.api.desk import ApiDesk, problem
from tests.api.office import ask_hours, open_session, pages, put

HOUR = 3_600_000_000


def balance(desk: ApiDesk, who: str = "ada") -> str:
    return str(desk.get(f"/v1/accounts/{who}").json()["balance_hours"])


def explained(desk: ApiDesk, who: str = "ada") -> list[tuple[str, str]]:
    body = desk.get(f"/v1/accounts/{who}/explanation", f"token-{who}").json()
    assert sum(one["amount_mgpu_ms"] for one in body["lines"]) == body["balance_mgpu_ms"]
    return [(one["kind"], one["hours"]) for one in body["lines"]]


def test_a_ta_gives_from_a_weekly_budget(office: ApiDesk) -> None:
    given = office.grant("ada", "2", token="token-tomas")
    assert (given.status_code, given.json()["source"]) == (200, "ta_grant")
    short = problem(office.grant("ada", "1.5", token="token-tomas"), 409, "budget_spent")
    assert "1.00 more" in short["detail"]
    assert short["retry_at"].startswith("2026-11-30T00:00")
    assert office.grant("blaise", "1", token="token-tomas").status_code == 200
    assert (balance(office), balance(office, "blaise")) == ("16.00", "15.00")
    office.books.clock.advance(timedelta(days=5))
    assert office.grant("ada", "3", token="token-tomas").status_code == 200


def test_a_request_is_asked_answered_and_explained(office: ApiDesk) -> None:
    request_id = uuid4()
    asked = [ask_hours(office, "3", request_id=request_id).json() for _ in range(2)]
    assert asked[0] == asked[1]
    assert (asked[0]["state"], asked[0]["hours"]) == ("open", "3.00")
    problem(ask_hours(office, "4", request_id=request_id), 409, "id_conflict")
    path = f"/v1/requests/{request_id}/answer"
    done = put(office, path, {"hours": "2", "text": "two now"})
    assert (done.json()["state"], done.json()["granted_mgpu_ms"]) == ("approved", 2 * HOUR)
    assert put(office, path, {"hours": "2", "text": "two now"}).json() == done.json()
    problem(put(office, path, {"hours": None, "text": "no"}), 409, "already_decided")
    assert balance(office) == "16.00"
    assert ("request", "2.00") in explained(office)
    listed = office.get("/v1/requests?state=approved", "token-tomas").json()["requests"]
    assert [one["id"] for one in listed] == [str(request_id)]


def test_a_tas_answer_is_paid_from_the_budget(office: ApiDesk) -> None:
    path = f"/v1/requests/{ask_hours(office, '5').json()['id']}/answer"
    problem(put(office, path, {"hours": "5"}, "token-tomas"), 409, "budget_spent")
    assert put(office, path, {"hours": "3"}, "token-tomas").status_code == 200
    problem(office.grant("ada", "0.5", token="token-tomas"), 409, "budget_spent")
    assert balance(office) == "17.00"


def test_a_denial_needs_a_sentence_and_the_scholar_reads_it(office: ApiDesk) -> None:
    request_id = ask_hours(office).json()["id"]
    path = f"/v1/requests/{request_id}/answer"
    problem(put(office, path, {"hours": None}), 422, "bad_amount")
    assert put(office, path, {"hours": None, "text": "use yours first"}).status_code == 200
    mine = office.get("/v1/requests", "token-ada").json()["requests"]
    assert (mine[0]["state"], mine[0]["answer"]) == ("denied", "use yours first")


def test_requests_withdrawn_and_stale(office: ApiDesk) -> None:
    first, second = (ask_hours(office).json()["id"] for _ in range(2))
    gone = office.call("PUT", f"/v1/requests/{first}/withdraw", "token-ada")
    assert gone.json()["state"] == "withdrawn"
    office.books.clock.advance(timedelta(days=8))
    states = {one["id"]: one["state"]
              for one in office.get("/v1/requests", "token-ada").json()["requests"]}  # fmt: skip
    assert states == {first: "withdrawn", second: "stale"}
    late = put(office, f"/v1/requests/{second}/answer", {"hours": "1"})
    problem(late, 409, "already_decided")


@pytest.mark.parametrize("hours", ["0", "-1", "NaN", "1e3", "1000.5", "1.00000000001", "", "٣",
                                   "9" * 32, "Infinity", "1_0", " "])  # fmt: skip
def test_hours_that_cannot_be_asked_for(office: ApiDesk, hours: str) -> None:
    problem(ask_hours(office, hours), 422, "bad_amount")
    path = f"/v1/requests/{ask_hours(office).json()['id']}/answer"
    if hours != "1000.5":
        problem(put(office, path, {"hours": hours, "text": ""}), 422, "bad_amount")
    assert balance(office) == "14.00"


def test_an_incident_is_refunded_once_and_means_one_thing(office: ApiDesk) -> None:
    office.books.run("ada", "whole")
    office.books.go(every_s=120, hours=2)
    at = office.books.clock.now()
    body = {"hub_id": "main", "starts_at": (at - timedelta(minutes=90)).isoformat(),
            "ends_at": (at - timedelta(minutes=30)).isoformat(), "reason": "storage"}  # fmt: skip
    tried = put(office, "/v1/refunds/storage-1?dry_run=true", body).json()
    assert (tried["dry_run"], tried["total_mgpu_ms"]) == (True, HOUR)
    assert balance(office) == "12.00"
    for is_new in (True, False):
        done = put(office, "/v1/refunds/storage-1", body).json()
        assert done["refunds"] == [{"account": "ada", "amount_mgpu_ms": HOUR, "hours": "1.00",
                                    "is_new": is_new}]  # fmt: skip
    assert balance(office) == "13.00"
    problem(put(office, "/v1/refunds/storage-1", body | {"reason": "other"}), 409, "id_conflict")
    problem(put(office, "/v1/refunds/s-2", body | {"ends_at": body["starts_at"]}), 422,
            "bad_amount")  # fmt: skip
    future = (at + timedelta(hours=1)).isoformat()
    problem(put(office, "/v1/refunds/s-2", body | {"ends_at": future}), 422, "bad_amount")
    other = put(office, "/v1/refunds/s-3", body | {"section": "berlin"})
    assert other.json()["refunds"] == []
    assert ("refund", "1.00") in explained(office)


def test_a_ta_attaches_and_the_scholar_sees_and_ends_it(office: ApiDesk) -> None:
    body = {"hub_id": "main", "account": "ada", "server_name": "", "mode": "observe",
            "minutes": 30, "reason": "lab 2"}  # fmt: skip
    path = f"/v1/attachments/{uuid4()}"
    problem(put(office, path, body, "token-tomas"), 409, "not_attachable")
    lease_id, _ = office.books.run("ada", "whole")
    open_session(office, lease_id)
    made = put(office, path, body, "token-tomas")
    assert (made.json()["ta"], made.json()["ended_at"]) == ("tomas", None)
    assert put(office, path, body, "token-tomas").json() == made.json()
    problem(put(office, path, body | {"mode": "co_edit"}, "token-tomas"), 409, "id_conflict")
    office.books.go(minutes=6)
    ended = put(office, f"{path}/end", None, "token-ada")
    assert ended.json()["end_reason"] == "scholar_ended"
    assert put(office, f"{path}/end", None, "token-ada").json() == ended.json()
    seen = office.get("/v1/accounts/ada/attachments", "token-ada").json()["attachments"]
    assert [one["id"] for one in seen] == [made.json()["id"]]
    # The six minutes were paid by the section's help budget.
    assert balance(office) == "14.00"
    actions = [one["action"] for one in
               office.get("/v1/audit?subject=ada", "token-olga").json()["lines"]]  # fmt: skip
    assert actions == ["attach", "detach"]


def test_lists_go_on_where_they_stopped_while_others_write(office: ApiDesk) -> None:
    def give(count: int) -> list[str]:
        made = []
        for _ in range(count):
            office.books.clock.advance(timedelta(milliseconds=1))
            made.append(office.grant("ada", "0.1").json()["id"])
        return made

    first = give(5)
    page = office.get("/v1/grants?page_size=3", "token-olga").json()
    assert [one["id"] for one in page["grants"]] == first[:3]
    more = give(2)
    rest = office.get(f"/v1/grants?page_size=200&cursor={page['next']}", "token-olga").json()
    assert [one["id"] for one in rest["grants"]] == first[3:] + more
    assert rest["next"] is None
    sizes = [len(one) for one in pages(office.client, "/v1/audit", "lines", "token-olga", 3)]
    assert sum(sizes) == 7
    names = pages(office.client, "/v1/accounts", "accounts", "token-olga", 2)
    assert [one["account"] for page in names for one in page] == [
        "ada", "blaise", "chen", "dina", "emeka"]  # fmt: skip


@pytest.mark.parametrize("cursor", ["x", "W10", "WzFd", "WyJhIiwgImIiXQ", "%00", "e30", "W251bGxd",
                                    "WzFlOTk5LCJ4Il0", "a" * 600])  # fmt: skip
@pytest.mark.parametrize("part", ["grants", "requests", "accounts", "audit", "sections"])
def test_cursors_that_are_none(office: ApiDesk, part: str, cursor: str) -> None:
    reply = office.get(f"/v1/{part}?cursor={cursor}", "token-olga")
    is_a_number, is_nothing = cursor == "WzFd", False
    if part == "audit" and is_a_number:
        assert reply.status_code == 200
    else:
        assert not is_nothing
        problem(reply, 422, "invalid_request")


def test_the_head_of_the_trail_proves_it(office: ApiDesk) -> None:
    office.grant("ada", "1")
    body = office.get("/v1/audit", "token-olga").json()
    last = body["lines"][-1]
    assert body["head"] == f"{last['seq']}:{last['hash']}"
    assert last["before"] == {"available": "14"}
    assert last["after"]["available"] == "15"
