"""Bulk grants: tried with a diff, confirmed with the trial's token, all or nobody."""

import json
import time
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from tests.api.desk import ApiDesk, problem

CSV = "account,hours,reason\nada,2,project\nblaise,1.5,project\n"


def send(desk: ApiDesk, text: str | bytes, *, kind: str = "text/csv", token: str | None = None,
         bulk_id: UUID | None = None, dry_run: bool = False) -> httpx2.Response:  # fmt: skip
    query: dict[str, Any] = {"dry_run": dry_run}
    if kind == "text/csv":
        query["id"] = str(bulk_id or uuid4())
    if token is not None:
        query["token"] = token
    content = text.encode() if isinstance(text, str) else text
    return desk.call("POST", "/v1/grants/bulk", "token-olga", content=content, params=query,
                     headers={"Content-Type": kind})  # fmt: skip


def balances(desk: ApiDesk) -> list[str]:
    return [desk.get(f"/v1/accounts/{who}").json()["balance_hours"] for who in ("ada", "blaise")]


def test_what_was_tried_is_given_once(office: ApiDesk) -> None:
    bulk_id = uuid4()
    tried = send(office, CSV, bulk_id=bulk_id, dry_run=True).json()
    assert (tried["count"], tried["total_hours"], tried["faults"]) == (2, "3.50", [])
    hour = 3_600_000_000
    assert [(one["account"], one["hours"], one["available_before_mgpu_ms"] // hour,
             one["available_after_mgpu_ms"] // hour) for one in tried["changes"]] == [
        ("ada", "2", 14, 16), ("blaise", "1.5", 14, 15)]  # fmt: skip
    assert balances(office) == ["14.00", "14.00"]
    problem(send(office, CSV, bulk_id=bulk_id), 428, "precondition_required")
    other = CSV.replace("1.5", "15")
    problem(send(office, other, bulk_id=bulk_id, token=tried["token"]), 409, "other_trial")
    problem(send(office, CSV, token=tried["token"]), 409, "other_trial")
    assert balances(office) == ["14.00", "14.00"]
    for _ in range(2):
        done = send(office, CSV, bulk_id=bulk_id, token=tried["token"])
        assert done.status_code == 200, done.text
        assert [one["account"] for one in done.json()["grants"]] == ["ada", "blaise"]
    assert balances(office) == ["16.00", "15.50"]


def test_json_does_the_same(office: ApiDesk) -> None:
    body = json.dumps({"id": str(uuid4()), "hub_id": "main", "until": "2026-12-01T00:00:00Z",
                       "rows": [{"account": "ada", "hours": "2 min", "reason": "x"}]})  # fmt: skip
    tried = send(office, body, kind="application/json", dry_run=True).json()
    done = send(office, body, kind="application/json", token=tried["token"]).json()
    assert done["grants"][0]["amount_mgpu_ms"] == 120_000_000
    assert done["grants"][0]["ends_at"] == "2026-12-01T00:00:00Z"


def test_every_fault_is_named_and_nothing_is_written(office: ApiDesk) -> None:
    bad = ("account,hours,reason\n"
           "ada,2,project\nada,1,again\nzoe,1,x\nblaise,NaN,x\nchen,-1,x\ndina,1.0000000000001,x\n"
           "emeka,1,\n\u202eada,1,x\nblaise,1000001,x\n,1,x\nomar\n"
           "tomas,1,a\tb\n")  # fmt: skip
    bulk_id = uuid4()
    tried = send(office, bad, bulk_id=bulk_id, dry_run=True).json()
    assert tried["token"] is None
    assert [one["line"] for one in tried["faults"]] == list(range(3, 14))
    wrong = {one["line"]: one["what"] for one in tried["faults"]}
    assert "line 2" in wrong[3]
    assert "nobody" in wrong[4]
    assert "too many digits" in wrong[7]
    refused = send(office, bad, bulk_id=bulk_id, token="0" * 32)
    problem(refused, 409, "other_trial")
    assert balances(office) == ["14.00", "14.00"]
    assert office.get("/v1/audit", "token-olga").json()["lines"] == []


def test_one_bad_row_of_a_hundred_thousand(office: ApiDesk) -> None:
    rows = [f"scholar-{number},1,project" for number in range(99_999)]
    rows.insert(60_000, "ada,1.00000000000001,project")
    text = "account,hours,reason\n" + "\n".join(rows)
    office.app.state.books.lab = office.books.books.lab.model_copy(
        update={"default_section": "utc"})  # fmt: skip
    began = time.monotonic()
    tried = send(office, text, dry_run=True)
    assert tried.status_code == 200, tried.text
    body = tried.json()
    assert (body["count"], body["token"]) == (99_999, None)
    assert [(one["line"], one["account"]) for one in body["faults"]] == [(60_002, "ada")]
    assert (len(body["changes"]), body["changes_left_out"]) == (200, 99_799)
    assert time.monotonic() - began < 60
    assert office.get("/v1/grants", "token-olga").json()["grants"] == []


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"", "text/csv", 200), (b"\xff\xfe", "text/csv", 422), (b"name,hours\n", "text/csv", 200),
        (b"account,hours,reason\n", "text/csv", 200), (b"[]", "application/json", 422),
        (b'{"id": 1}', "application/json", 422), (b"x", "text/plain", 415),
        (b"\x00" * 100, "text/csv", 200), (b'account,hours,reason\n"' + b"x" * 200_000,
                                           "text/csv", 200),
        (b"account,hours,reason\n" + b"a,1,x\n" * 100_001, "text/csv", 200),
    ],
)  # fmt: skip
def test_files_that_are_none(office: ApiDesk, content: bytes, kind: str, status: int) -> None:
    reply = send(office, content, kind=kind, dry_run=True)
    assert reply.status_code == status, reply.text[:500]
    if status == 200:
        assert reply.json()["faults"]
        assert reply.json()["token"] is None


def test_only_this_route_takes_large_bodies(office: ApiDesk) -> None:
    large = "x" * 17_000_000
    problem(send(office, large, dry_run=True), 413, "too_large")
    problem(office.raw("PUT", f"/v1/grants/{uuid4()}", b"x" * 70_000), 413, "too_large")


def test_a_large_file_is_given_in_parts_and_checked_before_the_first(office: ApiDesk) -> None:
    lab = office.books.books.lab.model_copy(update={"default_section": "utc"})
    office.app.state.books.lab = lab
    office.books.books.lab = lab
    rows = [f"scholar-{number:03},1,project" for number in range(250)]
    text, bulk_id = "account,hours,reason\n" + "\n".join(rows), uuid4()
    token = send(office, text, bulk_id=bulk_id, dry_run=True).json()["token"]
    done = send(office, text, bulk_id=bulk_id, token=token).json()
    assert (done["count"], len(done["grants"]), done["grants_left_out"]) == (250, 200, 50)
    other = text.replace("scholar-249,1,", "scholar-249,2,").replace("scholar-000", "scholar-999")
    token = send(office, other, bulk_id=bulk_id, dry_run=True).json()["token"]
    problem(send(office, other, bulk_id=bulk_id, token=token), 409, "grant_conflict")
    assert office.get("/v1/accounts/scholar-999").json()["balance_hours"] == "14.00"
    assert office.get("/v1/accounts/scholar-249").json()["balance_hours"] == "15.00"
