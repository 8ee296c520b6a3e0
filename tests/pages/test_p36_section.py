"""P36 on a section's pages: who may see and do what, every page, every kind of visitor.

The table below is written by hand; a route of a section that it does not name fails.
The rows are about ada, a scholar of section utc, whose TA is tomas; tilda is another section's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute
from sqlalchemy import Engine

from api.pages.app import ROUTERS
from quota.helping import Helping
from quota.lab_file import parse_lab
from tests.api.desk import ApiDesk
from tests.api.office import OFFICE_YAML, PEOPLE, add_people, ask_hours
from tests.pages.browser import Browser, browser_of, open_pages

VISITORS = ("organizer", "ta", "other ta", "scholar", "other scholar", "nobody")


@dataclass(frozen=True)
class Row:
    """A page or form, and the status for each visitor in the order of VISITORS."""

    request: str
    statuses: str
    route: str
    typed: tuple[tuple[str, str], ...] = ()


HOURS = (("hours", "0.5"), ("reason", "x"), ("decision", "approve"), ("text", ""))
ATTACH = (("server", ""), ("mode", "observe"), ("minutes", "10"), ("reason", "x"))
ADA = "section/utc/people/ada"
OF_ADA = "section/{section}/people/{scholar}"

# organizer, ta, other ta, scholar (ada), other scholar, nobody
ROWS = [
    Row("GET section/utc", "200 200 404 404 404 303", "section/{section}"),
    Row("GET section/none", "404 404 404 404 404 303", "section/{section}"),
    Row("GET section/utc/queue", "200 200 404 404 404 303", "section/{section}/queue"),
    Row("GET section/utc/scholars", "200 200 404 404 404 303", "section/{section}/scholars"),
    Row(f"GET {ADA}", "200 200 404 404 404 303", OF_ADA),
    Row("GET section/utc/people/zz", "404 404 404 404 404 303", OF_ADA),
    Row("GET section/berlin/people/ada", "404 404 404 404 404 303", OF_ADA),
    Row(f"POST {ADA}/grants", "303 303 404 404 404 401", f"{OF_ADA}/grants", HOURS),
    Row(f"POST {ADA}/requests/{{asked}}", "303 303 404 404 404 401",
        f"{OF_ADA}/requests/{{request_id}}", HOURS),
    Row(f"POST {ADA}/help/{{hand}}/claim", "403 303 404 404 404 401",
        f"{OF_ADA}/help/{{request_id}}/claim"),
    Row(f"POST {ADA}/help/{{mine}}/hand-over", "403 303 404 404 404 401",
        f"{OF_ADA}/help/{{request_id}}/hand-over", (("to", ""),)),
    Row(f"POST {ADA}/help/{{mine}}/resolve", "403 303 404 404 404 401",
        f"{OF_ADA}/help/{{request_id}}/resolve", (("text", ""),)),
    Row(f"POST {ADA}/attachments", "403 303 404 404 404 401", f"{OF_ADA}/attachments", ATTACH),
    Row(f"POST {ADA}/attachments/{{attached}}/end", "303 303 404 404 404 401",
        f"{OF_ADA}/attachments/{{attachment_id}}/end"),
]  # fmt: skip


@dataclass(frozen=True)
class World:
    """The lab, everybody's browser, and what everybody's own forms carry."""

    desk: ApiDesk
    browsers: dict[str, Browser]
    proofs: dict[str, str]


@pytest.fixture
def world(engine: Engine, tmp_path: Path) -> Iterator[World]:
    folder = tmp_path / "lab"
    folder.mkdir()
    # Enough for every row and visitor.
    text = OFFICE_YAML.replace("tomas: {hours_per_week: 3", "tomas: {hours_per_week: 30")
    (folder / "lab.yaml").write_text(text)
    with open_pages(engine, folder) as desk:
        add_people(desk)
        desk.books.books.lab = parse_lab(text, "lab.yaml")
        lease_id, _ = desk.books.run("ada", "quarter")
        Helping(desk.books.books).open_session(lease_id, "")
        browsers = {who: browser_of(desk, PEOPLE[who]) for who in VISITORS if who != "nobody"}
        proofs = {who: dict(one.form("hours", "sign-out").fields)["proof"]
                  for who, one in browsers.items()}  # fmt: skip
        yield World(desk, browsers | {"nobody": browser_of(desk)}, proofs)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_p36_every_page_of_a_section_answers_each_visitor_as_the_table_says(world: World) -> None:
    wrong = []
    for row in ROWS:
        for who, status in zip(VISITORS, row.statuses.split(), strict=True):
            found = _status(world, row, who)
            if found != int(status):
                wrong.append(f"{row.request} as {who}: {found}, not {status}")
    assert wrong == []


def test_p36_the_table_names_every_page_of_a_section() -> None:
    named = {(row.request.partition(" ")[0], f"/{row.route}") for row in ROWS}
    there = {
        (method, route.path)
        for router in ROUTERS for route in _routes(router) for method in route.methods or ()
        if route.path.startswith("/section/")
    }  # fmt: skip
    assert there - named == set()
    assert named - there == set()


def _routes(router: APIRouter) -> list[APIRoute]:
    return [route for route in router.routes if isinstance(route, APIRoute)]


def _status(world: World, row: Row, who: str) -> int:
    method, _, path = row.request.partition(" ")
    browser = world.browsers[who]
    with_ids = _with_ids(world.desk, path)
    if method == "GET":
        return browser.get(with_ids).status_code
    sent = [("id", str(uuid4())), ("proof", world.proofs.get(who, "")), *row.typed]
    return browser.post(f"/services/gpulab/{with_ids}", sent).status_code


def _with_ids(desk: ApiDesk, path: str) -> str:
    """Make what a row is about anew, so that the rows before leave nothing to it."""
    if "{asked}" in path:
        return path.format(asked=_asked(desk))
    if "{hand}" in path or "{mine}" in path:
        return path.format(hand=(hand := _hand(desk, is_claimed="{mine}" in path)), mine=hand)
    if "attachments" in path:
        _detach(desk)
    return path.format(attached=_attached(desk)) if "{attached}" in path else path


def _asked(desk: ApiDesk) -> str:
    for one in desk.get("/v1/requests?state=open", "token-ada").json()["requests"]:
        desk.call("PUT", f"/v1/requests/{one['id']}/withdraw", "token-ada")
    return str(ask_hours(desk, "0.5").json()["id"])


def _hand(desk: ApiDesk, *, is_claimed: bool) -> str:
    for one in desk.get("/v1/help-requests?account=ada", "token-ada").json()["help_requests"]:
        desk.call("PUT", f"/v1/help-requests/{one['id']}/withdraw", "token-ada")
    hand, body = uuid4(), {"hub_id": "main", "message": "x", "path": "", "server_name": ""}
    desk.call("PUT", f"/v1/help-requests/{hand}", "token-ada", json=body)
    if is_claimed:
        desk.call("PUT", f"/v1/help-requests/{hand}/claim", "token-tomas")
    return str(hand)


def _attached(desk: ApiDesk) -> str:
    made, body = uuid4(), dict(ATTACH) | {"hub_id": "main", "account": "ada", "minutes": 10}
    body["server_name"] = body.pop("server")
    reply = desk.call("PUT", f"/v1/attachments/{made}", "token-tomas", json=body)
    assert reply.status_code == 200, reply.text
    return str(made)


def _detach(desk: ApiDesk) -> None:
    for one in desk.get("/v1/accounts/ada/attachments", "token-ada").json()["attachments"]:
        desk.call("PUT", f"/v1/attachments/{one['id']}/end", "token-ada")
