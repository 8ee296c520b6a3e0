"""Balances and extra hours over HTTP: who sees, who gives; giving twice is giving once."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from api.pages.addresses import PREFIX as PROXY_PREFIX
from tests.api.desk import ADMISSION_SECRET, ApiDesk, problem
from tests.quota.books import NOON

ROLES = [
    (ADMISSION_SECRET, 200), ("token-olga", 200), ("token-ada", 200), ("token-blaise", 404),
    ("token-tomas", 200), ("token-service", 404), ("token-stranger", 403), ("unknown", 401),
    (None, 401),
]  # fmt: skip


@pytest.mark.parametrize("path", ["/v1/accounts/ada", "/v1/spawn-options/ada"])
@pytest.mark.parametrize(("token", "status"), ROLES)
def test_p36_who_sees_an_account(
    service: ApiDesk, path: str, token: str | None, status: int
) -> None:
    assert service.get(path, token).status_code == status


def test_an_account_shows_what_is_left_and_until_when(service: ApiDesk) -> None:
    body = service.get("/v1/accounts/ada").json()
    assert (body["section"], body["time_zone"]) == ("utc", "UTC")
    assert (body["balance_hours"], body["available_hours"]) == ("10.00", "10.00")
    assert body["resets_at"] == "2026-11-30T00:00:00Z"
    assert body["balance_mgpu_ms"] == 10 * 3_600_000_000


def test_the_spawn_options_show_price_room_and_refusals(service: ApiDesk) -> None:
    body = service.get("/v1/spawn-options/emeka").json()
    by_name = {one["name"]: one for one in body["flavors"]}
    assert by_name["cpu"]["cost_text"] == "free"
    quarter = by_name["quarter"]
    assert (quarter["free_slots"], quarter["total_slots"]) == (8, 8)
    assert quarter["lasts_s"] == 4 * 3600
    assert quarter["may_start"]
    stranger = service.get("/v1/spawn-options/stranger").json()["flavors"]
    refused = next(one for one in stranger if one["name"] == "quarter")
    assert refused["refusal"]["code"] == "not_on_roster"


def test_p02_a_grant_given_twice_is_given_once(service: ApiDesk) -> None:
    grant_id = uuid4()
    until = NOON + timedelta(days=2, microseconds=1234)
    replies = [service.grant(grant_id=grant_id, until=until.isoformat()) for _ in range(3)]
    assert [one.status_code for one in replies] == [200] * 3
    assert replies[0].json() == replies[2].json()
    assert replies[0].json()["author"] == "olga"
    assert service.get("/v1/accounts/ada").json()["balance_hours"] == "12.00"
    problem(service.grant(grant_id=grant_id, hours="3"), 409, "grant_conflict")
    problem(service.grant("blaise", grant_id=grant_id), 409, "grant_conflict")
    assert service.get("/v1/accounts/ada").json()["balance_hours"] == "12.00"


@pytest.mark.parametrize("token", ["token-ada", "token-service", ADMISSION_SECRET])
def test_only_organizers_and_tas_give(service: ApiDesk, token: str) -> None:
    problem(service.grant("ada", token=token), 403, "forbidden")
    assert service.get("/v1/accounts/ada").json()["balance_hours"] == "10.00"


@pytest.mark.parametrize("hours", ["0", "-1", "NaN", "1e9", "Infinity", "1.0000000001", "", "٣"])
def test_hours_that_are_no_amount(service: ApiDesk, hours: str) -> None:
    problem(service.grant(hours=hours), 422, "bad_amount")


@pytest.mark.parametrize(
    ("until", "code"),
    [("2020-01-01T00:00:00Z", "bad_amount"), ("9999-12-31T23:59:59-23:00", "invalid_request"),
     ("2026-12-01T00:00:00", "invalid_request"), ("soon", "invalid_request"),
     ("0001-01-01T00:00:00+23:59", "bad_amount")],
)  # fmt: skip
def test_an_end_that_cannot_be_used(service: ApiDesk, until: str, code: str) -> None:
    problem(service.grant(until=until), 422, code)
    assert service.get("/v1/accounts/ada").status_code == 200


def test_a_grant_needs_a_reason_and_a_known_person(service: ApiDesk) -> None:
    problem(service.grant(reason="  "), 422, "bad_amount")
    problem(service.grant(reason=""), 422, "invalid_request")
    problem(service.grant(reason="two\nlines"), 422, "invalid_request")
    problem(service.grant("stranger"), 404, "no_such_account")


def test_a_grant_is_valid_until_its_end(service: ApiDesk) -> None:
    service.grant(until=datetime(2026, 11, 26, tzinfo=UTC).isoformat())
    service.books.clock.advance(timedelta(hours=13))
    assert service.get("/v1/accounts/ada").json()["balance_hours"] == "10.00"


@pytest.mark.parametrize("path", ["/v1/accounts/ada", "/v1/spawn-options/ada"])
def test_the_pages_are_reachable_through_the_hubs_proxy(service: ApiDesk, path: str) -> None:
    assert service.get(PROXY_PREFIX + path, "token-ada").json() == service.get(path).json()
