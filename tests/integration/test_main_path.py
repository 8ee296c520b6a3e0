"""The path of one session through every layer: log in, start, be charged, warned, stopped,
refused, go on without a GPU, be given hours, start again. On both runtimes.
"""

import os
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psutil
import pytest
from websocket import WebSocketException

from lab.engine import engine_socket
from lab.supervised import socket_path
from lab.trial.running import RunningLab
from lab.trial.visitor import Kernel
from lab.trial.waiting import wait_for
from quota.observed import Observed
from tests.integration.inside import Inside, its_token_is_no_persons, nobody_else_asks_there

pytestmark = pytest.mark.slow

# Promise P17: 30 s to act and 20 s of grace after the last second that was paid.
_ENFORCED_WITHIN_S = 50.0
_MGPU_MS = 250


def test_p17_one_session_from_login_to_the_next_start(lab: RunningLab) -> None:
    ada = lab.logged_in("ada")
    page = ada.page("/hub/spawn")
    for part in ("A quarter of a GPU", "JupyterLab, Python", "GPU-hour", "America/New_York"):
        assert part in page

    reply = ada.submit_spawn_form("quarter-gpu")
    assert reply.status_code == 200, reply.text
    wait_for("ada's session", ada.is_running, within_s=90)
    (session,) = lab.sessions()
    assert (session.account, session.flavor) == ("ada", "quarter-gpu")

    with ada.open_kernel() as kernel:
        assert kernel.run("print(6 * 7)") == "42\n"
        _is_charged_from_the_runtimes_start(lab)
        warning = wait_for("a warning", lambda: lab.notices("ada", "warning"), within_s=60)
        assert "of GPU time left" in warning[-1]
        home = ada.browser.get("/hub/gpulab/me").json()
        assert any("of GPU time left" in one["text"] for one in home["notices"])
        _is_stopped_although_the_page_stays_open(lab, kernel)

    _is_told_why_and_refused(lab)
    ada.start("cpu", within_s=90)
    assert ada.run_cell("print('still here')") == "still here\n"
    ada.stop()

    _is_granted_by_an_organizer(lab, "ada", "0.5")
    ada.start("quarter-gpu", within_s=90)
    assert [one.flavor for one in lab.sessions()] == ["quarter-gpu"]
    ada.stop()
    wait_for("an empty runtime", lambda: not lab.sessions(), within_s=30)
    _load_is_shown_on_both_ends(lab)


def _is_charged_from_the_runtimes_start(lab: RunningLab) -> None:
    started_at = lab.sessions()[0].started_at
    assert started_at is not None
    account = wait_for(
        "an active session in the books",
        lambda: account if (account := lab.account("ada"))["sessions"][0]["started_at"] else None,
        within_s=15,
    )  # fmt: skip
    assert account
    session = account["sessions"][0]
    assert session["state"] == "active"
    assert session["started_at"].startswith(started_at.isoformat()[:19])
    assert account["held_mgpu_ms"] > 0
    first = lab.account("ada")["balance_mgpu_ms"]
    wait_for("a falling balance", lambda: lab.account("ada")["balance_mgpu_ms"] < first,
             within_s=15)  # fmt: skip


def _is_stopped_although_the_page_stays_open(lab: RunningLab, kernel: Kernel) -> None:
    wait_for("the end", lambda: not lab.sessions(), within_s=120 + _ENFORCED_WITHIN_S)
    account = wait_for(
        "the end in the books",
        lambda: account if not (account := lab.account("ada"))["sessions"] else None,
        within_s=20,
    )  # fmt: skip
    assert account
    # What was used after the last paid millisecond is a debt, and no more than the bound allows.
    assert 0 <= account["debt_mgpu_ms"] <= _ENFORCED_WITHIN_S * 1000 * _MGPU_MS
    assert account["available_mgpu_ms"] <= 0
    assert sum(one["amount_mgpu_ms"] for one in account["charges"]) == account["charged_mgpu_ms"]
    with pytest.raises((WebSocketException, OSError)):
        kernel.run("print('gone')")


def _is_told_why_and_refused(lab: RunningLab) -> None:
    ada = lab.logged_in("ada")
    (told,) = lab.notices("ada", "stopped")
    assert "GPU-hours are used up" in told
    notices = ada.browser.get("/hub/gpulab/me").json()["notices"]
    assert any("used up" in one["text"] for one in notices)
    wait_for("a hub that knows of the end", lambda: ada.server() is None, within_s=60)
    reply = ada.spawn("quarter-gpu")
    assert reply.status_code in (403, 409, 429), reply.text
    assert "GPU-hours" in reply.json()["message"]
    assert "America/New_York" in reply.json()["message"]


def _is_granted_by_an_organizer(lab: RunningLab, name: str, hours: str) -> None:
    organizer = lab.logged_in("olga")
    body = {"hub_id": lab.hub_id, "account": name, "hours": hours, "reason": "a try-out"}
    path = f"/v1/grants/{uuid4()}"
    before = lab.account(name)["balance_mgpu_ms"]
    assert lab.service("PUT", path, token=lab.logged_in(name).token, json=body).status_code == 403
    for _again in range(2):
        reply = lab.service("PUT", path, token=organizer.token, json=body)
        assert reply.status_code == 200, reply.text
    gained = lab.account(name)["balance_mgpu_ms"] - before
    assert gained == pytest.approx(float(hours) * 3_600_000_000, abs=10_000_000)


def _load_is_shown_on_both_ends(lab: RunningLab) -> None:
    text = lab.service("GET", "/metrics").text
    charged = re.search(r"^gpulab_charged_gpu_seconds\S* (\S+)$", text, re.MULTILINE)
    assert charged, text
    assert float(charged[1]) >= 8
    for name in ("gpulab_sessions", "gpulab_gpus", "gpulab_enforcement_lag_seconds",
                 "gpulab_requests_refused"):  # fmt: skip
        assert name in text
    token = (lab.state.secrets / "service_token").read_text().strip()
    hub = lab.hub_metrics(token)
    assert "jupyterhub_server_spawn_duration_seconds" in hub


def test_full_gpus_make_a_line_with_positions(lab: RunningLab) -> None:
    for name in ("blaise", "chen"):
        _is_granted_by_an_organizer(lab, name, "1")
    blaise, chen = lab.logged_in("blaise"), lab.logged_in("chen")
    blaise.start("whole-gpu", within_s=90)

    assert chen.spawn("quarter-gpu").status_code == 202
    waiting = wait_for("chen's place", lambda: lab.account("chen")["sessions"], within_s=15)
    assert waiting[0]["state"] == "waiting"
    lease = lab.service("GET", f"/v1/leases/{waiting[0]['lease_id']}").json()
    assert (lease["waiting"]["position"], lease["waiting"]["of"]) == (1, 1)
    headers = {"Authorization": f"token {chen.token}"}
    path = "/hub/api/users/chen/server/progress"
    with chen.browser.stream("GET", path, headers=headers) as events:
        shown = next(line for line in events.iter_lines() if "number 1 of 1" in line)
    assert "taken" in shown
    assert len(lab.sessions()) == 1

    # Stop leaves the line.
    chen.api("DELETE", "/users/chen/server")
    wait_for("an empty line", lambda: not lab.account("chen")["sessions"], within_s=30)
    wait_for("a hub without a start", lambda: chen.server() is None, within_s=30)

    assert chen.spawn("quarter-gpu").status_code == 202
    wait_for("chen's place", lambda: lab.account("chen")["sessions"], within_s=15)
    blaise.stop()
    wait_for("chen's session", chen.is_running, within_s=90)
    chen.stop()


def test_a_session_killed_while_it_starts_is_no_riddle(lab: RunningLab) -> None:
    emeka = lab.logged_in("emeka")
    assert emeka.token

    def his_session() -> list[Observed]:
        return [one for one in lab.sessions() if one.account == "emeka"]

    with ThreadPoolExecutor(1) as pool:
        # The hub answers when the server does, or after ten seconds.
        asked = pool.submit(emeka.spawn, "cpu")
        (session,) = wait_for("a session", his_session, within_s=30, every_s=0.05)
        lab.runtime().kill(session.ref)
        reply = asked.result()
    assert reply.status_code in (202, 503)
    # Not after the two minutes that the hub gives a server to answer.
    wait_for("a hub that knows of it", lambda: emeka.server() is None, within_s=20)
    assert "ended while it was starting" in reply.text + lab.log_of("hub")
    emeka.start("cpu", within_s=90)
    emeka.stop()


def test_p27_without_the_service_gpus_are_refused_and_cpus_start(lab: RunningLab) -> None:
    dina = lab.logged_in("dina")
    assert dina.token
    hub = lab.pid_of("hub")
    os.kill(lab.pid_of("service"), signal.SIGSTOP)
    try:
        _gpu_is_refused_in_time(lab)
        page = dina.page("/hub/spawn")
        assert "No GPU" in page
        dina.start("cpu", within_s=90)
    finally:
        os.kill(lab.pid_of("service"), signal.SIGCONT)
    assert dina.run_cell("print(1)") == "1\n"
    adopted = wait_for("a lease for it", lambda: lab.account("dina")["sessions"], within_s=30)
    assert adopted[0]["flavor"] == "cpu"
    dina.stop()

    lab.supervisor.stop("service")
    try:
        _gpu_is_refused_in_time(lab)
        with lab.garbage_service():
            _gpu_is_refused_in_time(lab)
    finally:
        lab.supervisor.start("service")
    assert lab.pid_of("hub") == hub, "the hub did not care"
    wait_for("a service", lab.is_service_up, within_s=30)
    # The hub's breaker gives the service another chance after a while.
    wait_for("a session on a GPU", lambda: dina.spawn("quarter-gpu").status_code in (201, 202),
             within_s=60, every_s=2)  # fmt: skip
    wait_for("dina's session", dina.is_running, within_s=90)
    dina.stop()


def test_a_session_asks_its_listener_and_its_token_opens_nothing_else(lab: RunningLab) -> None:
    chen = lab.logged_in("chen")
    chen.start("cpu", within_s=90)
    with chen.open_kernel() as kernel:
        _asks_as_itself_alone(lab, Inside(chen, kernel))
    wait_for("the end", lambda: not any(one.account == "chen" for one in lab.sessions()),
             within_s=60)  # fmt: skip
    wait_for("a hub that knows of the end", lambda: chen.server() is None, within_s=60)


def _asks_as_itself_alone(lab: RunningLab, inside: Inside) -> None:
    wait_for("its facts", lambda: inside.ask("GET", "/facts")[1].get("session", {}).get("state")
             == "active", within_s=30)  # fmt: skip
    status, facts = inside.ask("GET", "/facts")
    assert (status, facts["scholar"], facts["flavor"]["name"]) == (200, "chen", "cpu")
    status, asked = inside.ask("PUT", f"/help/{uuid4()}", {"message": "the loss is NaN"})
    assert (status, asked["state"], asked["place"]) == (200, "waiting", 1)
    seen = lab.service("GET", "/v1/help-requests", token=lab.logged_in("tomas").token).json()
    assert [one["message"] for one in seen["help_requests"]] == ["the loss is NaN"]
    assert inside.ask("PUT", "/labs/week-1/passed")[0] == 200
    assert inside.ask("GET", "/facts")[1]["labs_passed"] == ["week-1"]

    nobody_else_asks_there(lab, inside)
    its_token_is_no_persons(lab, inside)
    status, ended = inside.ask("PUT", "/done")
    assert (status, ended) == (202, {"state": "stopping"})


def test_p37_hub_and_worker_know_the_gate_only_and_it_refused_them_nothing(
    lab: RunningLab,
) -> None:
    """After all that the other tests of this lab did; sessions as processes have no gate."""
    told = {
        name: psutil.Process(lab.pid_of(name)).environ().get("DOCKER_HOST", "")
        for name in ("hub", "worker", "watchdog")
    }
    if not (lab.state.root / "gate.json").exists():
        assert not any("gate" in host for host in told.values())
        return
    assert told["hub"] == told["worker"] == f"unix://{socket_path(lab.state, 'gate')}"
    assert told["watchdog"] == f"unix://{engine_socket(os.environ)}"
    lab.kill("gate")
    visitor = lab.logged_in("chen")
    # Until the new one listens, starts are refused.
    wait_for("a new gate", lambda: visitor.spawn("cpu").status_code in (201, 202), within_s=30)
    wait_for("a session through it", visitor.is_running, within_s=90)
    visitor.stop()
    assert '"event": "refused"' not in lab.log_of("gate")


def _gpu_is_refused_in_time(lab: RunningLab) -> None:
    dina = lab.logged_in("dina")
    assert dina.token
    began = time.monotonic()
    reply = dina.spawn("quarter-gpu")
    took_s = time.monotonic() - began
    assert reply.status_code == 503, reply.text
    # Five seconds for asking, and something for the hub's own work on a busy machine.
    assert took_s < 7
    message = reply.json()["message"]
    assert "GPU" in message
    assert not re.search(r"Traceback|Error|http://127", message)
