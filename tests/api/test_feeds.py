"""Calendar addresses: one section's calendar for whoever has the secret, and nothing else."""

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
from icalendar import Calendar
from sqlalchemy import select

from quota.store.engine import reading
from quota.store.tables import audit, feeds
from tests.api.desk import ApiDesk, problem
from tests.api.office import edit, pages, tag_of
from tests.api.test_cli import Shell, bare, shell

__all__ = ["bare", "shell"]


def make(desk: ApiDesk, section: str = "utc", token: str = "token-ada",
         feed_id: str | None = None) -> httpx2.Response:  # fmt: skip
    body = {"hub_id": "main", "section": section}
    return desk.call("PUT", f"/v1/calendar-feeds/{feed_id or uuid4()}", token, json=body)


@pytest.fixture
def logged(capfd: pytest.CaptureFixture[str]) -> Iterator[list[str]]:
    """Every secret that is put in here must not be in what was logged."""
    made: list[str] = []
    yield made
    said = "".join(capfd.readouterr())
    assert made
    for path in made:
        assert path.removeprefix("/feeds/").removesuffix(".ics") not in said


def test_an_address_works_without_a_token(office: ApiDesk, logged: list[str]) -> None:
    made = make(office)
    assert made.status_code == 200, made.text
    path = made.json()["path"]
    logged.append(path)
    assert len(path) > 40
    for prefix in ("", "/services/gpulab"):
        reply = office.get(prefix + path, None)
        assert reply.status_code == 200
        assert reply.headers["content-type"] == "text/calendar; charset=utf-8"
        own = office.get("/v1/calendars/utc.ics", "token-ada")
        assert reply.content == own.content
    events = Calendar.from_ical(reply.content).walk("VEVENT")
    assert any("Paper review" in str(one["summary"]) for one in events)
    again = make(office, feed_id=made.json()["id"])
    assert again.json() == made.json() | {"path": None}
    problem(make(office, "berlin", "token-olga", made.json()["id"]), 409, "id_conflict")


def test_the_secret_is_kept_nowhere(office: ApiDesk, logged: list[str]) -> None:
    path = make(office).json()["path"]
    logged.append(path)
    secret = path.removeprefix("/feeds/").removesuffix(".ics")
    with reading(office.books.engine) as tx:
        rows = [*tx.execute(select(feeds)), *tx.execute(select(audit))]
    assert len(rows) == 2
    assert secret not in repr(rows)
    assert secret.encode() not in repr(rows).encode()
    problem(office.call("POST", path, None), 405, "method_not_allowed")
    lines = office.get("/v1/audit", "token-olga").json()["lines"]
    assert [(one["action"], one["actor"], one["subject"]) for one in lines] == [
        ("feed.make", "ada", "ada")
    ]


def test_what_leads_nowhere_is_not_found(office: ApiDesk, logged: list[str]) -> None:
    path = make(office).json()["path"]
    logged.append(path)
    for wrong in (
        path[:-5] + ".ics",
        path.replace(".ics", "A.ics"),
        "/feeds/utc.ics",
        "/feeds/" + "x" * 200 + ".ics",
        "/feeds/%00.ics",
        "/feeds/%E2%80%AE.ics",
    ):
        assert office.get(wrong, None).status_code in (404, 422), wrong
    known, unknown = office.get(path + "x", None), office.get("/feeds/no.ics", None)
    assert known.status_code == unknown.status_code == 404


def test_a_revoked_address_leads_nowhere(office: ApiDesk, logged: list[str]) -> None:
    made = make(office).json()
    logged.append(made["path"])
    where = f"/v1/calendar-feeds/{made['id']}"
    problem(office.call("DELETE", where, "token-blaise"), 404, "no_such_thing")
    assert office.get(made["path"], None).status_code == 200
    for token in ("token-ada", "token-olga"):
        assert office.call("DELETE", where, token).status_code == 204
    problem(office.get(made["path"], None), 404, "no_such_thing")
    actions = [one["action"] for one in office.get("/v1/audit", "token-olga").json()["lines"]]
    assert actions == ["feed.make", "feed.revoke"]


def test_who_leaves_the_section_leaves_its_calendar(office: ApiDesk, logged: list[str]) -> None:
    path = make(office).json()["path"]
    logged.append(path)
    section = "/v1/sections/utc"
    left = edit(office, section, tag_of(office, section), scholars=["blaise", "chen", "dina"])
    assert left.status_code == 200, left.text
    problem(office.get(path, None), 404, "no_such_thing")


def test_addresses_are_listed_by_page_and_bounded(office: ApiDesk) -> None:
    ids = [make(office).json()["id"] for _ in range(10)]
    problem(make(office), 422, "bad_amount")
    found = pages(office.client, "/v1/calendar-feeds", "feeds", "token-ada", 4)
    assert [len(page) for page in found] == [4, 4, 2]
    assert {one["id"] for page in found for one in page} == set(ids)
    assert all(one["path"] is None for page in found for one in page)
    assert office.get("/v1/calendar-feeds", "token-blaise").json()["feeds"] == []


def test_an_operator_makes_and_revokes_one(shell: Shell) -> None:
    status, said = shell.run("feed", "make", "emeka", "berlin", "--json")
    assert status == 0
    made = json.loads(said)
    assert made["path"].startswith("/services/gpulab/feeds/")
    assert "cannot be shown again" in shell.run(
        "feed", "make", "emeka", "berlin", "--id", made["id"])[1]  # fmt: skip
    assert made["id"] in shell.run("feed", "list", "emeka")[1]
    assert shell.run("feed", "make", "emeka", "utc")[0] == 1
    assert shell.run("feed", "revoke", made["id"])[0] == 0
    listed = json.loads(shell.run("feed", "list", "emeka", "--json")[1])
    assert listed["feeds"][0]["revoked_at"] is not None
    secret = Path(made["path"]).stem
    assert secret.encode() not in (shell.folder / ".state/books.sqlite").read_bytes()
    assert shell.run("check")[0] == 0
