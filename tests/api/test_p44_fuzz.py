"""P44: made-up requests after the OpenAPI document, under each role.

Nothing may be answered with 5xx, nothing may show what is inside, every answer has to be one that
the document names. `make fuzz` and the long test take minutes for it, `make test` some seconds.
"""

import re
import time
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import (
    negative_data_rejection,
    positive_data_acceptance,
    unsupported_method,
)

from tests.api.desk import ApiDesk
from tests.api.office import PEOPLE
from tests.quota.sizes import IS_FUZZ

ROLES = ("hub", "organizer", "ta", "scholar", "nobody")
_LONG_S = 15 * 60 / len(ROLES)
# What a message must never have: a traceback, a statement, a path of this machine, our modules.
_INSIDE = re.compile(
    r"Traceback|File \"|SELECT |INSERT |sqlalchemy|psycopg|sqlite3?\.|/srv/|\.py\b"
)
# Values after the document may still be refused: a week that is over, somebody who is not there.
# A method that is not there is answered with 405 by what is outside the document.
_NOT_ASKED = [positive_data_acceptance, negative_data_rejection, unsupported_method]


def described(desk: ApiDesk) -> Any:
    app: Any = desk.client.app
    schema = schemathesis.openapi.from_dict(app.openapi())
    schema.app = app
    return schema


def ask(case: schemathesis.Case[Any], role: str) -> None:
    """Send one request as somebody, and look at the answer."""
    headers = {"Authorization": f"token {PEOPLE[role]}"}
    reply = case.call(headers=headers)
    assert reply.status_code < 500, (case.as_curl_command(), reply.text[:500])
    if reply.status_code >= 400:
        assert reply.headers["content-type"] == ["application/problem+json"]
        assert not _INSIDE.search(reply.text), reply.text[:500]
    case.validate_response(reply, excluded_checks=_NOT_ASKED, headers=headers)


def fuzz(desk: ApiDesk, role: str, *, examples: int, until_s: float | None = None) -> int:
    """Ask everything as somebody; return how many requests that were."""
    asked = 0

    def count_and_ask(case: schemathesis.Case[Any]) -> None:
        nonlocal asked
        asked += 1
        ask(case, role)

    chosen = settings(max_examples=examples, deadline=None, derandomize=until_s is None,
                      database=None, phases=[Phase.generate],
                      suppress_health_check=list(HealthCheck))  # fmt: skip
    schema = described(desk)
    began = time.monotonic()
    while True:
        for found in schema.get_all_operations():
            chosen(given(case=found.ok().as_strategy())(count_and_ask))()
        if until_s is None or time.monotonic() - began > until_s:
            return asked


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize("role", ROLES)
def test_p44_made_up_requests(office: ApiDesk, role: str) -> None:
    assert fuzz(office, role, examples=40 if IS_FUZZ else 3) > 100


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
@pytest.mark.parametrize("role", ROLES)
def test_p44_made_up_requests_for_minutes(office: ApiDesk, role: str) -> None:
    assert fuzz(office, role, examples=20, until_s=_LONG_S) > 1_000


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_p44_a_fault_would_be_found(office: ApiDesk) -> None:
    def broken(*_args: object, **_named: object) -> None:
        raise RuntimeError("seeded")

    case = described(office)["/v1/spawn-options/{account}"]["GET"].Case(
        path_parameters={"account": "ada"}
    )
    ask(case, "organizer")
    office.client.app.state.books.spawn_options = broken  # type: ignore[attr-defined]
    with pytest.raises((AssertionError, RuntimeError)):
        ask(case, "organizer")
