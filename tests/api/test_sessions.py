"""What the idle culler is told, and the answer that keeps a GPU, through the service's door."""

import pytest

from quota.idling import Idling
from quota.session_states import SessionState
from tests.api.desk import ApiDesk, problem
from tests.api.hub import ACCESS, user


def test_the_culler_sees_what_runs_and_nobody_else_does(service: ApiDesk) -> None:
    desk = service.books
    desk.run("ada", "cpu")
    lease_id, _ = desk.run("blaise", "quarter")
    since = desk.clock.now()
    Idling(desk.books).note({lease_id: SessionState(state="training", since=since)})
    right = "custom:gpulab:sessions"
    service.hub.tokens["token-culler"] = user("idle-culler", ACCESS, right, kind="service")
    body = service.get("/v1/sessions", "token-culler").json()
    assert body["cpu_idle_s"] == 3600
    assert body["sessions"] == [
        {"account": "ada", "server_name": "", "has_gpu": False, "state": None},
        {"account": "blaise", "server_name": "", "has_gpu": True, "state": "training"},
    ]
    for other in ("token-olga", "token-ada", "token-service"):
        problem(service.get("/v1/sessions", other), 403, "forbidden")


@pytest.mark.parametrize("who", ["token-ada", None])
def test_a_kept_gpu_shows_until_when(service: ApiDesk, who: str | None) -> None:
    desk = service.books
    lease_id, _ = desk.run("ada", "quarter")
    state = SessionState(state="holding", since=desk.clock.now())
    Idling(desk.books).note({lease_id: state})
    path = f"/v1/leases/{lease_id}/keep"
    reply = service.call("PUT", path, who) if who else service.call("PUT", path)
    assert reply.status_code == 200, reply.text
    shown = service.get("/v1/accounts/ada").json()["sessions"][0]["gpu_state"]
    assert shown == reply.json()
    assert (shown["state"], shown["kept_until"]) == ("holding", shown["release_at"])


def test_a_gpu_that_somebody_waits_for_is_not_kept(service: ApiDesk) -> None:
    desk = service.books
    lease_id, _ = desk.run("ada", "whole")
    desk.run("blaise", "whole")
    desk.ask("chen", "whole")
    problem(service.call("PUT", f"/v1/leases/{lease_id}/keep"), 409, "gpu_is_wanted")
