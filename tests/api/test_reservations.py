"""Reservations over HTTP: what is reserved, listed, refused and taken back."""

from datetime import timedelta
from uuid import uuid4

import pytest

from tests.api.desk import ApiDesk, problem
from tests.api.office import pages, put
from tests.quota.books import NOON

WISH = {"hub_id": "main", "flavor": "whole", "starts_at": "2026-11-26T13:00:00+01:00",
        "minutes": 90}  # fmt: skip


def test_a_scholar_reserves_sees_and_takes_back(office: ApiDesk) -> None:
    path = f"/v1/reservations/{uuid4()}"
    made = put(office, path, WISH, "token-ada").json()
    assert (made["starts_at"], made["ends_at"], made["state"], made["section"]) == (
        "2026-11-26T12:00:00Z", "2026-11-26T13:30:00Z", "open", "utc")  # fmt: skip
    assert put(office, path, WISH, "token-ada").json() == made
    problem(put(office, path, WISH | {"minutes": 60}, "token-ada"), 409, "id_conflict")
    problem(put(office, f"/v1/reservations/{uuid4()}", WISH, "token-ada"), 409,
            "too_many_reservations")  # fmt: skip
    for _again in range(2):
        gone = put(office, f"{path}/withdraw", None, "token-ada").json()
        assert (gone["state"], gone["closed_at"] is not None) == ("withdrawn", True)
    assert "gpu" not in made, "on which GPU, nobody needs to know"


def test_a_list_goes_on_page_by_page_and_ends_are_told_at_once(office: ApiDesk) -> None:
    for who, hours in (("blaise", 30), ("ada", 26), ("emeka", 28)):
        starts_at = (NOON + timedelta(hours=hours)).isoformat()
        body = WISH | {"flavor": "quarter", "starts_at": starts_at}
        assert put(office, f"/v1/reservations/{uuid4()}", body, f"token-{who}").status_code == 200
    listed = pages(office.client, "/v1/reservations", "reservations", "token-tomas", 1)
    assert [[one["account"] for one in page] for page in listed if page] == [["ada"], ["blaise"]]
    office.books.clock.advance(timedelta(hours=29))
    states = {
        one["account"]: one["state"]
        for one in office.get("/v1/reservations", "token-olga").json()["reservations"]
    }
    assert states == {"ada": "over", "emeka": "open", "blaise": "open"}


WRONG: list[tuple[dict[str, object], int, str]] = [
    ({"flavor": "cpu"}, 422, "no_such_flavor"),
    ({"starts_at": "2026-11-25T12:30:00Z"}, 422, "bad_start"),
    ({"starts_at": "0001-01-01T00:00:00+14:00"}, 422, "bad_start"),
    ({"starts_at": "9999-12-31T23:59:59-14:00"}, 422, "bad_start"),
    ({"starts_at": "2026-11-26T12:00:00"}, 422, "invalid_request"),
    ({"starts_at": "tomorrow"}, 422, "invalid_request"),
    ({"minutes": 5}, 422, "bad_length"),
    ({"minutes": 10_080}, 422, "bad_length"),
    ({"minutes": 2**70}, 422, "invalid_request"),
    ({"minutes": "90"}, 422, "invalid_request"),
    ({"account": "blaise"}, 422, "invalid_request"),
    ({"hub_id": "other"}, 404, "no_such_hub"),
]


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_bad_wishes_are_refused_with_a_code(office: ApiDesk) -> None:
    for wish, status, code in WRONG:
        reply = put(office, f"/v1/reservations/{uuid4()}", WISH | wish, "token-ada")
        problem(reply, status, code)
    assert office.get("/v1/reservations", "token-olga").json()["reservations"] == []
