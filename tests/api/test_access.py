"""P36: who may do what with whose: every route, every kind of caller, own, other and missing.

The table below is written by hand; a route that it does not name fails.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from api.app import ROUTERS
from tests.api.desk import ApiDesk
from tests.api.hub import SCHOLAR_SCOPES, user
from tests.api.office import PEOPLE, ask_hours, open_session

CALLERS = ("hub", "organizer", "ta", "other ta", "scholar", "other scholar", "service", "nobody")
SPAN = "from=2026-11-01T00:00:00Z&until=2026-12-01T00:00:00Z"
ATTACH = {"hub_id": "main", "account": "ada", "server_name": "", "mode": "observe",
          "minutes": 10, "reason": "help"}  # fmt: skip
HELP = {"hub_id": "main", "message": "the loss does not fall"}
GRANT = {"hub_id": "main", "hours": "0.5", "reason": "project"}
LEASE = {"hub_id": "main", "account": "ada", "server_name": "s", "flavor": "cpu", "image": "base"}
RULE = {"reason": "x", "rule": {}}
REFUND = {"hub_id": "main", "starts_at": "2026-11-25T10:00:00Z",
          "ends_at": "2026-11-25T11:00:00Z", "reason": "outage"}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A request about ada, and the status for each caller in the order of CALLERS."""

    request: str
    statuses: str
    body: Any = None
    route: str = ""


# hub, organizer, ta, other ta, scholar (ada), other scholar, service, nobody
ROWS = [
    Row("PUT /v1/leases/{new}", "200 403 403 403 403 403 403 401", LEASE, "/v1/leases/{lease_id}"),
    Row("PUT /v1/leases/{lease}/stop", "200 403 403 403 403 403 403 401", {"reason": "person"},
        "/v1/leases/{lease_id}/stop"),
    Row("PUT /v1/leases/{waits}/place", "200 403 403 403 403 403 403 401", None,
        "/v1/leases/{lease_id}/place"),
    Row("PUT /v1/leases/{gpu}/keep", "200 404 404 404 200 404 404 401", None,
        "/v1/leases/{lease_id}/keep"),
    Row("GET /v1/sessions", "403 403 403 403 403 403 403 401", None, "/v1/sessions"),
    Row("GET /v1/leases/{lease}", "200 200 404 404 200 404 404 401", None,
        "/v1/leases/{lease_id}"),
    Row("GET /v1/accounts", "403 200 200 200 200 200 200 401", None, "/v1/accounts"),
    Row("GET /v1/accounts?section=utc", "403 200 200 404 404 404 404 401", None, "/v1/accounts"),
    Row("GET /v1/accounts?section=nope", "403 404 404 404 404 404 404 401", None, "/v1/accounts"),
    Row("GET /v1/accounts/ada", "200 200 200 404 200 404 404 401", None, "/v1/accounts/{account}"),
    Row("GET /v1/accounts/zz", "404 404 404 404 404 404 404 401", None, "/v1/accounts/{account}"),
    Row("GET /v1/accounts/ada/explanation", "404 200 200 404 200 404 404 401", None,
        "/v1/accounts/{account}/explanation"),
    Row("GET /v1/spawn-options/ada", "200 200 200 404 200 404 404 401", None,
        "/v1/spawn-options/{account}"),
    Row("GET /v1/accounts/ada/attachments", "404 200 200 404 200 404 404 401", None,
        "/v1/accounts/{account}/attachments"),
    Row("GET /v1/grants", "403 200 200 200 200 200 200 401", None, "/v1/grants"),
    Row("GET /v1/grants?account=ada", "403 200 200 404 200 404 404 401", None, "/v1/grants"),
    Row("PUT /v1/grants/{new}", "403 200 200 404 403 403 403 401", GRANT | {"account": "ada"},
        "/v1/grants/{grant_id}"),
    Row("PUT /v1/grants/{new}", "403 404 404 404 403 403 403 401", GRANT | {"account": "zz"},
        "/v1/grants/{grant_id}"),
    Row("POST /v1/grants/bulk?dry_run=true", "403 200 403 403 403 403 403 401",
        {"id": str(UUID(int=1)), "hub_id": "main",
         "rows": [{"account": "ada", "hours": "1", "reason": "x"}]}, "/v1/grants/bulk"),
    Row("PUT /v1/requests/{new}", "403 200 200 200 200 200 404 401",
        {"hub_id": "main", "hours": "1", "reason": "x"}, "/v1/requests/{request_id}"),
    Row("PUT /v1/requests/{asked}/answer", "403 200 200 404 403 404 404 401",
        {"hours": "0.5", "text": ""}, "/v1/requests/{request_id}/answer"),
    Row("PUT /v1/requests/{new}/answer", "403 404 404 404 404 404 404 401",
        {"hours": "0.5", "text": ""}, "/v1/requests/{request_id}/answer"),
    Row("PUT /v1/requests/{asked}/withdraw", "403 404 404 404 200 404 404 401", None,
        "/v1/requests/{request_id}/withdraw"),
    Row("GET /v1/requests", "403 200 200 200 200 200 200 401", None, "/v1/requests"),
    Row("GET /v1/requests?account=ada", "403 200 200 404 200 404 404 401", None, "/v1/requests"),
    Row("PUT /v1/refunds/outage", "403 200 403 403 403 403 403 401", REFUND,
        "/v1/refunds/{incident}"),
    Row("GET /v1/calendar-feeds", "403 200 200 200 200 200 200 401", None, "/v1/calendar-feeds"),
    Row("PUT /v1/calendar-feeds/{new}", "403 200 200 404 200 200 404 401",
        {"hub_id": "main", "section": "utc"}, "/v1/calendar-feeds/{feed_id}"),
    Row("PUT /v1/calendar-feeds/{new}", "403 404 404 404 404 404 404 401",
        {"hub_id": "main", "section": "zz"}, "/v1/calendar-feeds/{feed_id}"),
    Row("DELETE /v1/calendar-feeds/{feed}", "403 204 404 404 204 404 404 401", None,
        "/v1/calendar-feeds/{feed_id}"),
    Row("DELETE /v1/calendar-feeds/{new}", "403 404 404 404 404 404 404 401", None,
        "/v1/calendar-feeds/{feed_id}"),
    Row("PUT /v1/attachments/{new}", "403 403 200 404 403 403 403 401", ATTACH,
        "/v1/attachments/{attachment_id}"),
    Row("PUT /v1/attachments/{new}", "403 403 404 404 403 403 403 401",
        ATTACH | {"account": "zz"}, "/v1/attachments/{attachment_id}"),
    Row("PUT /v1/leases/{lease}/visits", "200 403 403 403 403 403 403 401", {"no_observing": ""},
        "/v1/leases/{lease_id}/visits"),
    Row("GET /v1/accounts/ada/attach-consent", "404 200 200 404 200 404 404 401", None,
        "/v1/accounts/{account}/attach-consent"),
    Row("PUT /v1/accounts/ada/attach-consent", "404 403 403 404 200 404 404 401",
        {"choice": "always"}, "/v1/accounts/{account}/attach-consent"),
    Row("GET /v1/help-requests", "403 200 200 200 200 200 200 401", None, "/v1/help-requests"),
    Row("GET /v1/help-requests?account=ada", "403 200 200 404 200 404 404 401", None,
        "/v1/help-requests"),
    Row("PUT /v1/help-requests/{new}", "403 404 404 404 200 200 404 401", HELP,
        "/v1/help-requests/{request_id}"),
    Row("PUT /v1/help-requests/{help}/claim", "403 403 200 404 403 404 404 401", None,
        "/v1/help-requests/{request_id}/claim"),
    Row("PUT /v1/help-requests/{new}/claim", "403 404 404 404 404 404 404 401", None,
        "/v1/help-requests/{request_id}/claim"),
    Row("PUT /v1/help-requests/{claimed}/hand-over", "403 403 200 404 403 404 404 401",
        {"to": None}, "/v1/help-requests/{request_id}/hand-over"),
    Row("PUT /v1/help-requests/{claimed}/resolve", "403 403 200 404 403 404 404 401",
        {"text": "done"}, "/v1/help-requests/{request_id}/resolve"),
    Row("PUT /v1/help-requests/{claimed}/withdraw", "403 404 404 404 200 404 404 401", None,
        "/v1/help-requests/{request_id}/withdraw"),
    Row("PUT /v1/attachments/{attached}/end", "403 200 200 404 200 404 404 401", None,
        "/v1/attachments/{attachment_id}/end"),
    Row("GET /v1/accounts/ada/notification-choices", "403 200 404 404 200 404 404 401", None,
        "/v1/accounts/{account}/notification-choices"),
    Row("GET /v1/accounts/zz/notification-choices", "403 404 404 404 404 404 404 401", None,
        "/v1/accounts/{account}/notification-choices"),
    Row("PUT /v1/accounts/ada/notification-choices", "403 403 404 404 428 404 404 401",
        {"choices": {}}, "/v1/accounts/{account}/notification-choices"),
    Row("PUT /v1/accounts/zz/notification-choices", "403 404 404 404 404 404 404 401",
        {"choices": {}}, "/v1/accounts/{account}/notification-choices"),
    Row("GET /v1/audit", "403 200 403 403 403 403 403 401", None, "/v1/audit"),
    Row(f"GET /v1/usage?{SPAN}", "403 200 200 200 200 200 200 401", None, "/v1/usage"),
    Row(f"GET /v1/usage?{SPAN}&section=utc", "403 200 200 404 404 404 404 401", None, "/v1/usage"),
    Row("GET /v1/calendars/utc.ics", "403 200 200 404 200 200 404 401", None,
        "/v1/calendars/{section}.ics"),
    Row("GET /v1/week/utc", "403 200 200 404 200 200 404 401", None, "/v1/week/{section}"),
    Row("GET /v1/week/nope", "403 404 404 404 404 404 404 401", None, "/v1/week/{section}"),
    Row("GET /v1/openapi.json", "200 200 200 200 200 200 200 401", None, "/v1/openapi.json"),
]  # fmt: skip
SEEN = {
    "sections/utc": "403 200 200 404 404 404 404 401",
    "scholars/ada": "403 200 200 404 200 404 404 401",
    "tas/tomas": "403 200 200 404 404 404 404 401",
    "due-dates/review": "403 200 200 200 200 200 200 401",
    "blackouts/night": "403 200 200 200 200 200 200 401",
    "drained-gpus/GPU-1": "403 200 404 404 404 404 404 401",
}
for entry, seen in SEEN.items():
    part = entry.partition("/")[0]
    changes = "403 428 403 403 403 403 403 401"
    ROWS += [
        Row(f"GET /v1/{part}", "403 200 200 200 200 200 200 401", None, f"/v1/{part}"),
        Row(f"GET /v1/{entry}", seen, None, f"/v1/{part}/{{name}}"),
        Row(f"GET /v1/{part}/zz", seen.replace("200", "404"), None, f"/v1/{part}/{{name}}"),
        Row(f"PUT /v1/{entry}", changes, RULE, f"/v1/{part}/{{name}}"),
        Row(f"DELETE /v1/{entry}?reason=x", changes, None, f"/v1/{part}/{{name}}"),
    ]


@pytest.fixture
def lab(office: ApiDesk) -> ApiDesk:
    """A lab in which everything exists that the table names."""
    for path, rule in (
        ("/v1/scholars/ada", {"sessions": 3}),
        ("/v1/blackouts/night", {"starts": "2026-12-01 01:00", "ends": "2026-12-01 02:00"}),
        ("/v1/drained-gpus/GPU-1", {"why": "its fan is broken"}),
    ):
        made = office.call("PUT", path, "token-olga", json={"reason": "x", "rule": rule},
                           headers={"If-None-Match": "*"})  # fmt: skip
        assert made.status_code == 200, made.text
    return office


def test_p36_the_table_names_every_route(office: ApiDesk) -> None:
    assert ROUTERS
    paths = office.app.openapi()["paths"]
    routes = {(method.upper(), path) for path, methods in paths.items() for method in methods
              if path.startswith("/v1")}  # fmt: skip
    assert {(row.request.split()[0], row.route) for row in ROWS} == routes


def test_p36_who_may_do_what(lab: ApiDesk) -> None:
    wrong = []
    for row in ROWS:
        statuses = [str(_call(lab, row, who).status_code) for who in CALLERS]
        if " ".join(statuses) != row.statuses:
            wrong.append((row.request, " ".join(statuses), row.statuses))
    assert not wrong


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_p36_a_sessions_own_token_opens_none_of_it(lab: ApiDesk) -> None:
    """Everything in a session can read its token; it is good for the session listener alone."""
    scopes = ("users:activity!user=ada", "access:servers!server=ada/", *SCHOLAR_SCOPES)
    lab.hub.tokens[PEOPLE["session"]] = user("ada", *scopes)
    found = {row.request: _call(lab, row, "session") for row in ROWS}
    open_to_it = {request for request, reply in found.items()
                  if reply.status_code != 403 or "session listener" not in reply.text}  # fmt: skip
    assert not open_to_it


def test_p36_lists_hold_only_what_shows(lab: ApiDesk) -> None:
    for who in ("ada", "blaise", "emeka"):
        assert lab.grant(who, "1").status_code == 200
        ask_hours(lab, token=f"token-{who}")
    shows = {"organizer": {"ada", "blaise", "emeka"}, "ta": {"ada", "blaise"},
             "other ta": {"emeka"}, "scholar": {"ada"}, "service": set()}  # fmt: skip
    for who, names in shows.items():
        for part in ("grants", "requests"):
            found = lab.get(f"/v1/{part}", PEOPLE[who]).json()[part]
            assert {one["account"] for one in found} == names, (who, part)
    listed = lab.get("/v1/accounts", PEOPLE["ta"]).json()["accounts"]
    assert [one["account"] for one in listed] == ["ada", "blaise", "chen", "dina"]
    assert lab.get("/v1/accounts", PEOPLE["scholar"]).json()["accounts"] == []


def test_p36_a_ta_is_one_as_long_as_the_rules_say_so(lab: ApiDesk) -> None:
    path = "/v1/sections/berlin"
    read = lab.get(path, "token-olga").json()
    assert lab.get("/v1/accounts/emeka", "token-tilda").status_code == 200
    body = {"reason": "left", "rule": read["rule"] | {"tas": []}}
    changed = lab.call("PUT", path, "token-olga", json=body,
                       headers={"If-Match": f'"{read["etag"]}"'})  # fmt: skip
    assert changed.status_code == 200
    assert lab.get("/v1/accounts/emeka", "token-tilda").status_code == 404


def _call(lab: ApiDesk, row: Row, who: str) -> httpx2.Response:
    method, path = row.request.split()
    with _ready(lab, path) as ready:
        return lab.call(method, ready, PEOPLE[who], **({"json": row.body} if row.body else {}))


class _ready:  # noqa: N801
    """Makes what a path names, anew for each caller, and takes it away."""

    def __init__(self, lab: ApiDesk, path: str) -> None:
        self.lab, self.path = lab, path

    def __enter__(self) -> str:
        lab, path = self.lab, self.path
        if "{asked}" in path:
            asked = ask_hours(lab)
            assert asked.status_code == 200, asked.text
            return path.replace("{asked}", asked.json()["id"])
        if "{help}" in path or "{claimed}" in path:
            return self._with_help(path)
        if "attachments/{" in path:
            self.lease, self.ref = lab.books.run("ada", "cpu")
            open_session(lab, self.lease)
        if "{attached}" in path:
            made = lab.call("PUT", f"/v1/attachments/{uuid4()}", "token-tomas", json=ATTACH)
            path = _with_id(path, "{attached}", made)
        if "{feed}" in path:
            body = {"hub_id": "main", "section": "utc"}
            made = lab.call("PUT", f"/v1/calendar-feeds/{uuid4()}", "token-ada", json=body)
            path = _with_id(path, "{feed}", made)
        if "{lease}" in path:
            self.lease, self.ref = lab.books.run("ada", "cpu")
            return path.replace("{lease}", str(self.lease))
        if "{gpu}" in path:
            self.lease, self.ref = lab.books.run("ada", "quarter")
            return path.replace("{gpu}", str(self.lease))
        if "{waits}" in path:
            path = path.replace("{waits}", str(lab.books.ask("ada", present=False).lease.id))
        return path.replace("{new}", str(uuid4()))

    def _with_help(self, path: str) -> str:
        asked = self.lab.call("PUT", f"/v1/help-requests/{uuid4()}", "token-ada", json=HELP)
        path = _with_id(_with_id(path, "{help}", asked), "{claimed}", asked)
        if "{claimed}" in self.path:
            claim = f"/v1/help-requests/{asked.json()['id']}/claim"
            assert self.lab.call("PUT", claim, "token-tomas").status_code == 200
        return path

    def __exit__(self, *_: object) -> None:
        if hasattr(self, "ref"):
            self.lab.books.finish(self.ref)
            self.lab.books.tick()
        if "{" not in self.path:
            return
        # Requests that stay open would be too many for the next caller.
        for one in self.lab.get("/v1/requests?state=open", "token-olga").json()["requests"]:
            self.lab.call("PUT", f"/v1/requests/{one['id']}/withdraw", f"token-{one['account']}")
        helped = self.lab.get("/v1/help-requests", "token-olga").json()["help_requests"]
        for one in helped:
            if one["state"] in ("waiting", "claimed"):
                self.lab.call("PUT", f"/v1/help-requests/{one['id']}/withdraw",
                              f"token-{one['account']}")  # fmt: skip
        for one in _open_leases(self.lab):
            self.lab.call("PUT", f"/v1/leases/{one}/stop", json={"reason": "person"})


def _with_id(path: str, mark: str, made: httpx2.Response) -> str:
    assert made.status_code == 200, made.text
    return path.replace(mark, made.json()["id"])


def _open_leases(lab: ApiDesk) -> Iterator[str]:
    for one in lab.get("/v1/accounts/ada").json()["sessions"]:
        yield one["lease_id"]
