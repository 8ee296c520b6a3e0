"""An office for tests: a lab with a program across a DST edge, and everybody who may call."""

from typing import Any
from uuid import UUID, uuid4

import httpx2
from starlette.testclient import TestClient

from tests.api.desk import ADMISSION_SECRET, ApiDesk
from tests.api.hub import SCHOLAR_SCOPES, user

# NOON of the test clock is 25 November 2026; week 1 began on the Monday before.
OFFICE_YAML = """
name: Test lab
organizers: [olga, omar]
program:
  starts_on: 2026-11-23
  weeks: [{topic: Networks}, {topic: Scale}, {topic: Project}]
sections:
  utc:
    time_zone: UTC
    scholars: [ada, blaise, chen, dina]
    tas: [tomas]
    hours_per_week: 10
    help_hours_per_week: 2
    co_working: [{day: wednesday, starts: '17:00', ends: '19:00'}]
  berlin:
    time_zone: Europe/Berlin
    scholars: [emeka]
    tas: [tilda]
    hours_per_week: 1
tas:
  tomas: {hours_per_week: 3, office_hours: [{day: friday, starts: '09:00', ends: '10:00'}]}
due_dates:
  review: {title: Paper review, due: 2026-11-27 23:59, hours: 4}
flavors:
  cpu: {title: CPU, weight_mgpu: 0}
  quarter: {title: Quarter GPU, weight_mgpu: 250, share_mgpu: 250, memory_mib: 4096}
  whole: {title: Whole GPU, weight_mgpu: 1000, share_mgpu: 1000, memory_mib: 16384}
images:
  base: {title: Base, docker: "gpulab/base:latest"}
gpus:
  mode: declared
  declared: [{name: Virtual GPU, memory_mib: 16384, count: 2}]
"""

PEOPLE = {
    "hub": ADMISSION_SECRET,
    "organizer": "token-olga",
    "ta": "token-tomas",
    "other ta": "token-tilda",
    "scholar": "token-ada",
    "other scholar": "token-blaise",
    "service": "token-service",
    "session": "token-of-adas-session",
    "nobody": "unknown",
}


def add_people(desk: ApiDesk) -> None:
    desk.hub.tokens["token-tilda"] = user("tilda", *SCHOLAR_SCOPES)
    desk.hub.tokens["token-omar"] = desk.hub.tokens["token-olga"] | {"name": "omar"}
    desk.hub.tokens["token-emeka"] = user("emeka", *SCHOLAR_SCOPES)


def put(desk: ApiDesk, path: str, body: object, token: str = "token-olga",
        **headers: str) -> httpx2.Response:  # fmt: skip
    return desk.call("PUT", path, token, json=body, headers=headers)


def ask_hours(desk: ApiDesk, hours: str = "3", token: str = "token-ada",
              request_id: UUID | None = None) -> httpx2.Response:  # fmt: skip
    body = {"hub_id": "main", "hours": hours, "reason": "a second run"}
    return put(desk, f"/v1/requests/{request_id or uuid4()}", body, token)


def open_session(desk: ApiDesk, lease_id: UUID, no_observing: str = "") -> httpx2.Response:
    """Let a session say that it tells visitors from its scholar."""
    reply = desk.call("PUT", f"/v1/leases/{lease_id}/visits", json={"no_observing": no_observing})
    assert reply.status_code == 200, reply.text
    return reply


def edit(desk: ApiDesk, path: str, tag: str, token: str = "token-olga",
         **rule: Any) -> httpx2.Response:  # fmt: skip
    """Change some fields of an entry that has a tag."""
    now = desk.get(path, token).json()["rule"]
    body = {"reason": "as agreed", "rule": now | rule}
    return desk.call("PUT", path, token, json=body, headers={"If-Match": f'"{tag}"'})


def tag_of(desk: ApiDesk, path: str) -> str:
    reply = desk.get(path, "token-olga")
    assert reply.headers["etag"] == f'"{reply.json()["etag"]}"'
    return str(reply.json()["etag"])


def pages(client: TestClient, path: str, part: str, token: str, size: int) -> list[list[Any]]:
    """Read a list to its end."""
    found, cursor = [], None
    while True:
        query = {"page_size": size} | ({"cursor": cursor} if cursor else {})
        reply = client.get(path, params=query, headers={"Authorization": f"token {token}"})
        assert reply.status_code == 200, reply.text
        found.append(reply.json()[part])
        cursor = reply.json()["next"]
        if cursor is None:
            return found
