"""P47: one person who asks without end takes nothing from the others."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from api.pace import Pace
from tests.api.desk import ApiDesk, open_service, problem
from tests.pages.browser import browser_of

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def strict(engine: Engine, tmp_path: Path) -> Iterator[ApiDesk]:
    with open_service(engine, tmp_path / "lab", requests_per_s=1, requests_burst=5) as desk:
        yield desk


def test_p47_who_asks_too_fast_waits_and_nobody_else(strict: ApiDesk) -> None:
    statuses = [strict.get("/v1/accounts/ada", "token-ada").status_code for _ in range(20)]
    assert statuses[:5] == [200] * 5
    assert statuses.count(429) >= 14
    refused = strict.get("/v1/accounts/ada", "token-ada")
    problem(refused, 429, "too_many_requests")
    assert refused.headers["retry-after"] == "1"
    assert strict.get("/v1/accounts/blaise", "token-blaise").status_code == 200
    # The hub asks for everybody.
    for _ in range(20):
        assert strict.get("/v1/accounts/ada").status_code == 200


def test_p47_pages_have_the_same_bound_and_say_so(strict: ApiDesk) -> None:
    ada = browser_of(strict, "token-ada")
    pages = [ada.get("hours") for _ in range(12)]
    assert pages[0].status_code == 200
    assert pages[-1].status_code == 429
    assert "Wait a second" in pages[-1].text
    assert pages[-1].headers["retry-after"] == "1"
    assert browser_of(strict, "token-blaise").get("hours").status_code == 200


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_fills_at_its_rate_and_holds_a_burst(engine: Engine) -> None:
    clock = Clock()
    pace = Pace(per_s=2, burst=3, monotonic=clock)
    assert [pace.wait_s("ada") for _ in range(4)] == [0, 0, 0, 0.5]
    clock.now = 0.25
    assert pace.wait_s("ada") == 0.25
    clock.now = 0.5
    assert [pace.wait_s("ada"), pace.wait_s("ada")] == [0, 0.5]
    clock.now = 3600
    assert [pace.wait_s("ada") for _ in range(4)] == [0, 0, 0, 0.5]


def test_buckets_are_bounded_and_forgetting_gives_nobody_more(engine: Engine) -> None:
    clock = Clock()
    pace = Pace(per_s=1, burst=1, remembered_most=100, monotonic=clock)
    assert pace.wait_s("ada") == 0
    for number in range(99):
        pace.wait_s(f"other-{number}")
        assert pace.wait_s("ada") > 0, "who keeps asking is not forgotten"
    for number in range(1000):
        pace.wait_s(f"more-{number}")
    assert len(pace._left) == 100
