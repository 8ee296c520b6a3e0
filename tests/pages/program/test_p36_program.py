"""P36 on the program's pages: a table of every route and role, complete against the routers."""

import re
from uuid import UUID

import httpx2
import pytest
from fastapi.routing import APIRoute

from api.pages.app import ROUTERS
from tests.api.desk import ApiDesk
from tests.api.office import PEOPLE, ask_hours
from tests.pages.browser import Browser, browser_of
from tests.pages.program.conftest import desk as desk  # noqa: PLC0414 - a lab with all people

ROLES = ("organizer", "ta", "other ta", "scholar", "other scholar", "nobody")
ID = str(UUID(int=7))
# What an organizer gets; others get 403, and whoever is not signed in is led to do so.
PROGRAM = {
    "GET /program": 200, "GET /program/live": 200, "GET /program/requests": 200,
    "POST /program/requests/{request_id}/answer": 422, "GET /program/people": 200,
    "GET /program/people/{name}": 200, "POST /program/people/{name}/grants": 422,
    "POST /program/people/{name}/section": 422, "GET /program/grants": 200,
    "POST /program/grants": 422, "GET /program/grants/bulk": 200,
    "POST /program/grants/bulk": 422, "GET /program/grants/bulk/{bulk_id}": 404,
    "GET /program/grants/bulk/{bulk_id}/result.csv": 404, "GET /program/hours": 200,
    "GET /program/calendar": 200, "GET /program/edit/{kind_name}": 200,
    "POST /program/edit/{kind_name}": 422, "GET /program/edit/{kind_name}/{name}": 200,
    "POST /program/edit/{kind_name}/{name}": 422, "GET /program/sections": 200,
    "POST /program/sections/roster": 422, "GET /program/sessions": 200,
    "GET /program/sessions/live": 200, "GET /program/sessions/{lease_id}": 200,
    "POST /program/sessions/{lease_id}/stop": 422, "GET /program/gpus": 200,
    "POST /program/gpus/{uuid}/drain": 422, "POST /program/gpus/{uuid}/undrain": 422,
    "GET /program/audit": 200, "GET /program/audit.{form}": 200, "GET /program/settings": 200,
    "GET /program/report": 200, "GET /program/report.html": 200,
    "GET /program/participation": 200, "GET /program/participation.csv": 200,
    "GET /program/settings/lab.patch": 200, "GET /program/settings/changes.yaml": 200,
}  # fmt: skip
FILLED = {"kind_name": "due-dates", "uuid": "GPU-0", "form": "csv", "bulk_id": ID}


def routes() -> set[str]:
    found = set()
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            path = route.path.replace(":path}", "}")
            found |= {f"{method} {path}" for method in route.methods or ()}
    return {one for one in found if one.split()[1].startswith("/program")}


def test_p36_every_page_of_the_program_is_in_the_table() -> None:
    assert routes() == set(PROGRAM)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_p36_only_organizers_see_and_change_the_program(desk: ApiDesk) -> None:
    lease_id, _ = desk.books.run("ada", "whole")
    assert ask_hours(desk, request_id=UUID(ID)).status_code == 200
    before = desk.books.office.trail_head()
    for role in ROLES:
        browser = browser_of(desk, "" if role == "nobody" else PEOPLE[role])
        proof = "" if role == "nobody" else dict(browser.form("hours", "sign-out").fields)["proof"]
        for route, for_organizers in PROGRAM.items():
            wanted = {"organizer": for_organizers, "nobody": 303 if "GET" in route else 401}
            status = _ask(browser, route, proof, str(lease_id)).status_code
            assert status == wanted.get(role, 403), (role, route)
    assert desk.books.office.trail_head() == before


def _ask(browser: Browser, route: str, proof: str, lease_id: str) -> httpx2.Response:
    method, path = route.split(" ")
    name = "review" if "{kind_name}" in path else "ada"
    given = {**FILLED, "name": name, "lease_id": lease_id, "request_id": ID}
    path = re.sub(r"\{(\w+)\}", lambda found: given[found[1]], path)
    if method == "GET":
        return browser.get(path.lstrip("/"))
    return browser.post(f"/services/gpulab{path}", [("proof", proof), ("id", ID)])
