"""Raised hands over HTTP: what people see, and the waits that are measured."""

from uuid import uuid4

from prometheus_client import generate_latest

from tests.api.desk import ApiDesk, problem
from tests.api.office import pages, put

ASKED = {"hub_id": "main", "message": "the loss does not fall", "path": "labs/lab2.ipynb"}


def raise_hand(desk: ApiDesk, who: str = "ada") -> str:
    reply = put(desk, f"/v1/help-requests/{uuid4()}", ASKED, f"token-{who}")
    assert reply.status_code == 200, reply.text
    return str(reply.json()["id"])


def test_a_scholar_sees_the_place_and_the_answer(office: ApiDesk) -> None:
    first = raise_hand(office, "blaise")
    office.books.go(every_s=30, minutes=4)
    mine = raise_hand(office)
    (seen,) = office.get("/v1/help-requests", "token-ada").json()["help_requests"]
    assert (seen["id"], seen["state"], seen["place"], seen["section"]) == (mine, "waiting", 2,
                                                                           "utc")  # fmt: skip
    claimed = put(office, f"/v1/help-requests/{first}/claim", None, "token-tomas").json()
    assert (claimed["claimed_by"], claimed["place"]) == ("tomas", None)
    problem(put(office, f"/v1/help-requests/{mine}/resolve", {"text": ""}, "token-tomas"), 409,
            "not_yours")  # fmt: skip
    put(office, f"/v1/help-requests/{mine}/claim", None, "token-tomas")
    done = put(office, f"/v1/help-requests/{mine}/resolve", {"text": "lower it"}, "token-tomas")
    assert (done.json()["state"], done.json()["answer"]) == ("resolved", "lower it")


def test_tas_see_their_sections_the_oldest_first_page_by_page(office: ApiDesk) -> None:
    for who in ("blaise", "emeka", "ada"):
        office.books.go(every_s=1, seconds=1)
        raise_hand(office, who)
    listed = pages(office.client, "/v1/help-requests", "help_requests", "token-tomas", 1)
    assert [[one["account"] for one in page] for page in listed if page] == [["blaise"], ["ada"]]
    waiting = office.get("/v1/help-requests?state=waiting", "token-olga").json()
    assert [one["account"] for one in waiting["help_requests"]] == ["blaise", "emeka", "ada"]


def test_waits_are_measured_once(office: ApiDesk) -> None:
    one = raise_hand(office)
    office.books.go(every_s=60, minutes=6)
    for _again in range(2):
        put(office, f"/v1/help-requests/{one}/claim", None, "token-tomas")
    text = generate_latest(office.client.app.state.metrics.registry).decode()  # type: ignore[attr-defined]
    assert "gpulab_help_wait_seconds_count 1.0" in text
    assert "gpulab_help_wait_seconds_sum 360.0" in text
    assert 'gpulab_help_requests{state="claimed"} 1.0' in text
    assert 'gpulab_help_requests{state="waiting"} 0.0' in text
