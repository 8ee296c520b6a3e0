"""P36 on the pages: who gets what, for every page and form there is.

The table is complete against the routers: a page that it does not name fails.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from uuid import uuid4

import pytest
from fastapi.routing import APIRoute
from sqlalchemy import Engine

from api.pages.addresses import PREFIX
from api.pages.app import ROUTERS
from quota.helping import Helping
from tests.api.desk import ApiDesk
from tests.api.office import OFFICE_YAML, add_people
from tests.pages.browser import Browser, browser_of, open_pages
from tests.quota.books import make_lab

PEOPLE = {"organizer": "olga", "ta": "tomas", "other ta": "tilda", "other scholar": "blaise",
          "scholar": "ada"}  # fmt: skip
EVERYBODY = dict.fromkeys(PEOPLE, 200)
# What belongs to the scholar alone: to others it is not there.
OWN = dict.fromkeys(PEOPLE, 404) | {"scholar": 303}
# What somebody does to themselves, with a form that lacks everything: 422 says that it was let in.
SELF = dict.fromkeys(PEOPLE, 422)
# Open to whoever comes, signed in or not: tested in test_sign_in.py and test_assets.py.
OPEN = {("GET", "/sign-in"), ("GET", "/oauth_callback"), ("POST", "/sign-out"),
        ("GET", "/static/{digest}/{name:path}")}  # fmt: skip

TABLE: dict[tuple[str, str], Mapping[str, int]] = {
    ("GET", "/"): dict.fromkeys(PEOPLE, 303),
    ("GET", "/hours"): EVERYBODY,
    ("GET", "/hours/now"): EVERYBODY,
    ("POST", "/hours/requests"): SELF,
    ("POST", "/hours/requests/{request_id}/withdraw"): OWN,
    ("POST", "/hours/sessions/{lease_id}/leave"): OWN,
    ("POST", "/hours/sessions/{lease_id}/keep"): OWN,
    ("POST", "/hours/sessions/{lease_id}/stop"): OWN,
    ("GET", "/hours/used"): EVERYBODY,
    ("GET", "/hours/used.csv"): EVERYBODY,
    ("GET", "/hours/week"): EVERYBODY,
    ("POST", "/hours/calendar"): SELF | {"organizer": 404, "ta": 404, "other ta": 404},
    ("POST", "/hours/calendar/{feed_id}/revoke"): OWN,
    ("GET", "/hours/reserve"): EVERYBODY,
    ("POST", "/hours/reserve"): SELF,
    ("POST", "/hours/reserve/{reservation_id}/withdraw"): OWN,
    ("GET", "/hours/help"): EVERYBODY,
    ("GET", "/hours/help/now"): EVERYBODY,
    ("POST", "/hours/help"): SELF,
    ("POST", "/hours/help/{request_id}/withdraw"): OWN,
    ("POST", "/hours/consent"): SELF,
    ("POST", "/hours/attachments/{attachment_id}/end"): OWN,
    ("GET", "/hours/news"): EVERYBODY,
    ("POST", "/hours/news"): SELF,
}


def test_p36_every_page_is_in_the_table() -> None:
    there = {
        (method, route.path)
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
        # Those have tables of their own.
        if not route.path.startswith(("/section/", "/program"))
    }
    assert there == {*TABLE, *OPEN}


@pytest.fixture
def desk(engine: Engine, tmp_path: Path) -> Iterator[ApiDesk]:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "lab.yaml").write_text(OFFICE_YAML)
    with open_pages(engine, tmp_path / "lab") as desk:
        desk.books.follow(make_lab(OFFICE_YAML))
        add_people(desk)
        yield desk


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_p36_every_page_and_form_answers_each_role_as_the_table_says(desk: ApiDesk) -> None:
    ids = _things_of_ada(desk)
    browsers = {role: browser_of(desk, f"token-{name}") for role, name in PEOPLE.items()}
    nobody = browser_of(desk)
    wrong = {}
    for (method, path), wanted in TABLE.items():
        address = _filled(path, ids)
        for role, status in wanted.items():
            found = _ask(browsers[role], method, address)
            if found != status:
                wrong[f"{method} {path} as {role}"] = found
        found = _ask_unknown(nobody, browsers["scholar"], method, address)
        if found != (303 if method == "GET" else 401):
            wrong[f"{method} {path} as nobody"] = found
    assert not wrong


def _ask(browser: Browser, method: str, address: str) -> int:
    if method == "GET":
        return browser.client.get(address).status_code
    return browser.post(address, browser.form("hours", "sign-out").filled()).status_code


def _ask_unknown(nobody: Browser, other: Browser, method: str, address: str) -> int:
    """Come without a cookie, with a form of somebody else."""
    if method == "GET":
        return nobody.client.get(address).status_code
    return nobody.post(address, other.form("hours", "sign-out").filled()).status_code


def _things_of_ada(desk: ApiDesk) -> dict[str, str]:
    """Make one of each thing that a scholar has, and return the ids by the path that asks."""
    lease_id, _ = desk.books.run("ada")
    helping = Helping(desk.books.books)
    helping.open_session(lease_id, "")
    ids = {
        name: str(uuid4()) for name in ("requests", "help", "calendar", "attachments", "reserve")
    }
    ids["sessions"] = str(lease_id)
    for path, token, body in (
        (f"requests/{ids['requests']}", "token-ada", {"hours": "1", "reason": "more"}),
        (f"help-requests/{ids['help']}", "token-ada", {"message": "why"}),
        (f"reservations/{ids['reserve']}", "token-ada",
         {"flavor": "quarter", "starts_at": "2026-11-26T12:00:00Z", "minutes": 60}),
        (f"calendar-feeds/{ids['calendar']}", "token-ada", {"section": "utc"}),
        (f"attachments/{ids['attachments']}", "token-tomas",
         {"account": "ada", "server_name": "", "mode": "observe", "minutes": 5, "reason": "x"}),
    ):  # fmt: skip
        reply = desk.call("PUT", f"/v1/{path}", token, json={"hub_id": "main", **body})
        assert reply.status_code == 200, reply.text
    return ids


def _filled(path: str, ids: Mapping[str, str]) -> str:
    """Put ids into a path: each stands behind the name of what it is of."""
    parts = path.split("/")
    named = [ids[parts[at - 1]] if one.startswith("{") else one for at, one in enumerate(parts)]
    return PREFIX + "/".join(named)
