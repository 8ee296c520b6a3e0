"""Rules over HTTP: tags, conditions, two organizers at once, and what lab.yaml would refuse."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from quota.service import Books
from tests.api.desk import ApiDesk, open_service, problem
from tests.api.office import add_people, edit, pages, put, tag_of
from tests.quota.books import make_lab

SECTION = "/v1/sections/utc"


def test_a_change_holds_at_once_and_is_on_the_trail(office: ApiDesk) -> None:
    assert office.get("/v1/accounts/ada").json()["balance_hours"] == "14.00"
    changed = edit(office, SECTION, tag_of(office, SECTION), hours_per_week="12")
    assert changed.status_code == 200, changed.text
    assert changed.headers["etag"] == f'"{changed.json()["etag"]}"'
    assert office.get("/v1/accounts/ada").json()["balance_hours"] == "16.00"
    line = office.get("/v1/audit?subject=utc", "token-olga").json()["lines"][-1]
    assert (line["actor"], line["action"], line["reason"]) == (
        "olga", "sections.change", "as agreed")  # fmt: skip
    assert (line["before"]["hours_per_week"], line["after"]["hours_per_week"]) == ("10", "12")
    assert line["request_id"] == changed.headers["x-request-id"]


def test_p13_the_second_of_two_organizers_is_told(office: ApiDesk) -> None:
    tag = tag_of(office, SECTION)
    assert edit(office, SECTION, tag, hours_per_week="12").status_code == 200
    problem(edit(office, SECTION, tag, "token-omar", hours_per_week="8"), 412, "stale_edit")
    assert office.get(SECTION, "token-olga").json()["rule"]["hours_per_week"] == "12"


def test_p13_of_many_organizers_at_once_one_gets_through(office: ApiDesk) -> None:
    tag = tag_of(office, SECTION)
    rule = office.get(SECTION, "token-olga").json()["rule"]

    def change(hours: int) -> int:
        body = {"reason": "race", "rule": rule | {"hours_per_week": str(hours)}}
        return put(office, SECTION, body, **{"If-Match": f'"{tag}"'}).status_code

    with ThreadPoolExecutor(6) as pool:
        statuses = sorted(pool.map(change, range(20, 26)))
    assert statuses == [200, 412, 412, 412, 412, 412]


def test_repeating_a_change_changes_nothing(office: ApiDesk) -> None:
    tag = tag_of(office, SECTION)
    first = edit(office, SECTION, tag, hours_per_week="12")
    again = edit(office, SECTION, tag, hours_per_week="12")
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    assert len(office.get("/v1/audit?subject=utc", "token-olga").json()["lines"]) == 1


def test_a_new_entry_is_made_once_and_taken_away(office: ApiDesk) -> None:
    path = "/v1/blackouts/moving"
    rule = {"starts": "2026-12-01 08:00", "ends": "2026-12-01 20:00"}
    body = {"reason": "the machines move", "rule": rule}
    problem(put(office, path, body), 428, "precondition_required")
    made = put(office, path, body, **{"If-None-Match": "*"})
    assert made.status_code == 200, made.text
    other = body | {"rule": rule | {"ends": "2026-12-01 21:00"}}
    problem(put(office, path, other, **{"If-None-Match": "*"}), 412, "stale_edit")
    problem(office.call("DELETE", path + "?reason=no", "token-olga"), 428, "precondition_required")
    tag = {"If-Match": made.headers["etag"]}
    gone = office.call("DELETE", path + "?reason=no+move", "token-olga", headers=tag)
    assert (gone.status_code, gone.content) == (204, b"")
    problem(office.get(path, "token-olga"), 404, "no_such_thing")
    problem(office.call("DELETE", path + "?reason=no", "token-olga", headers=tag), 404,
            "no_such_thing")  # fmt: skip


@pytest.mark.parametrize(
    ("path", "rule", "says"),
    [
        (SECTION, {"time_zone": "Europe/Atlantis"}, "not a time zone"),
        (SECTION, {"hours_per_week": "1.0000000000001"}, "digits"),
        (SECTION, {"hours_per_week": "-1"}, ""),
        (SECTION, {"hours_per_week": "1e99"}, ""),
        (SECTION, {"hours_in_weeks": {"9": "1"}}, "no week 9"),
        (SECTION, {"scholars": ["emeka"]}, "emeka"),
        (SECTION, {"scholars": ["ad\u202ea"]}, "not a user name"),
        (SECTION, {"scholars": ["Ada"]}, "not a user name"),
        (SECTION, {"hours": "3"}, ""),
        (SECTION, {"name": "other"}, "name"),
        ("/v1/due-dates/review", {"due": "2026-02-30 10:00"}, "not"),
        ("/v1/due-dates/review", {"sections": ["nowhere"]}, "no section"),
        ("/v1/tas/tomas", {"office_hours": ["funday 10:00-11:00"]}, ""),
    ],
)
def test_what_lab_yaml_would_refuse_is_refused(
    office: ApiDesk, path: str, rule: dict[str, Any], says: str
) -> None:
    tag = tag_of(office, path)
    body = problem(edit(office, path, tag, **rule), 422, "bad_rule")
    assert says in body["detail"]
    assert tag_of(office, path) == tag
    assert office.get("/v1/audit", "token-olga").json()["lines"] == []


NO_RULES = [
    b'{"reason": "x", "rule": {"hours_per_week": NaN}}',
    b'{"reason": "x", "rule": {"title": "a\\u0000b"}}',
    b'{"reason": "x", "rule": {"a\\ud800": 1}}',
    b'{"reason": "a\\ud800", "rule": {}}',
    b'{"reason": "x", "rule": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    b'{"reason": "", "rule": {}}',
    b'{"reason": "x", "rule": []}',
]


@pytest.mark.parametrize("raw", NO_RULES, ids=range(len(NO_RULES)))
def test_bodies_that_are_no_rule(office: ApiDesk, raw: bytes) -> None:
    headers = {"If-Match": f'"{tag_of(office, SECTION)}"', "Content-Type": "application/json"}
    reply = office.call("PUT", SECTION, "token-olga", content=raw, headers=headers)
    assert reply.status_code in (400, 422), reply.text
    assert reply.headers["content-type"] == "application/problem+json"


def test_names_that_are_none(office: ApiDesk) -> None:
    body = {"reason": "x", "rule": {"time_zone": "UTC"}}
    for name in ("UTC", "a_b", "caf%C3%A9", "%E2%80%AEx", "a%00b", "-x"):
        reply = put(office, f"/v1/sections/{name}", body, **{"If-None-Match": "*"})
        problem(reply, 422, "bad_rule")


def test_weeks_and_lists_are_read_by_page(office: ApiDesk) -> None:
    body = {"reason": "x", "rule": {"starts": "2026-12-01 08:00", "ends": "2026-12-01 20:00"}}
    for number in range(7):
        reply = put(office, f"/v1/blackouts/b{number}", body, **{"If-None-Match": "*"})
        assert reply.status_code == 200
    found = pages(office.client, "/v1/blackouts", "entries", "token-ada", 3)
    assert [[one["name"] for one in page] for page in found] == [
        ["b0", "b1", "b2"], ["b3", "b4", "b5"], ["b6"]]  # fmt: skip


def test_another_process_follows_within_seconds(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.policy._LOOK_EVERY_S", 0.05)
    with open_service(engine, tmp_path / "a") as one, open_service(engine, tmp_path / "b") as two:
        add_people(one)
        tag = tag_of(one, SECTION)
        assert edit(one, SECTION, tag, hours_per_week="12").status_code == 200
        # A stale tag shows at once, whatever the other process has heard; its lists are fresh.
        problem(edit(two, SECTION, tag, hours_per_week="9"), 412, "stale_edit")
        assert two.get(SECTION, "token-olga").json()["rule"]["hours_per_week"] == "12"
        books: Books = two.app.state.books
        assert books.lab.sections["utc"].hours_per_week.text() == "12"
        assert Books(engine, make_lab(), one.books.clock).lab.sections["utc"].name == "utc"
