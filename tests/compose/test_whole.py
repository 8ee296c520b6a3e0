"""The lab in containers, whole: up, a session through door and gate, charged, copied, down, up."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.egress import chains_of
from lab.trial.waiting import wait_for
from tests.compose.stack import Guest, Stack, host_listener, running_stack
from tests.compose.tools import run
from tests.integration.inside import Inside

pytestmark = [pytest.mark.docker, pytest.mark.long, pytest.mark.timeout(1200)]

_START_S = 120
_TRY = """
import socket, sys
for place in sys.argv[1:]:
    host, _, port = place.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=2).close()
        print(place, "reached")
    except OSError as error:
        print(place, type(error).__name__)
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("stack")) as one:
        yield one


def ada_of(stack: Stack) -> Guest:
    ada = stack.guest("ada")
    assert ada.log_in().status_code == 200
    return ada


def balance(stack: Stack) -> int:
    account = stack.lab_command("account", "ada")
    found: int = account["balance_mgpu_ms"]
    return found


def test_all_are_well_and_only_the_door_is_open(stack: Stack) -> None:
    shown = stack.compose("ps", "--all", "--format", "json").splitlines()
    programs = {one["Service"]: one for one in map(json.loads, shown)}
    assert {one["Health"] for one in programs.values()} == {"healthy"}, programs
    assert len(programs) == 13
    open_ports = {name for name, one in programs.items()
                  if any(port["PublishedPort"] for port in one["Publishers"] or ())}  # fmt: skip
    assert open_ports == {"caddy"}
    with ada_of(stack) as ada:
        for path in ("/hub/metrics", "/services/gpulab/metrics"):
            assert ada.browser.get(path).status_code == 404
    targets = stack.compose("exec", "-T", "prometheus", "wget", "-qO-",
                            "http://127.0.0.1:9090/api/v1/targets")  # fmt: skip
    scraped = {one["labels"]["job"] for one in json.loads(targets)["data"]["activeTargets"]}
    assert scraped == {"service", "worker", "watchdog", "notifier", "hub"}
    figures = stack.compose("exec", "-T", "prometheus", "wget", "-qO-",
                            "http://watchdog:9090/metrics")  # fmt: skip
    assert "gpulab_watchdog_note_timestamp_seconds" in figures


def test_a_session_through_door_and_gate_is_charged_and_stopped(stack: Stack) -> None:
    before = balance(stack)
    with ada_of(stack) as ada:
        ada.start("quarter-gpu", within_s=_START_S)
        (session,) = stack.sessions()
        assert session["NetworkSettings"]["Networks"].keys() == {stack.told["LAB_NETWORK"]}
        assert ada.session_url.startswith("https://ada.lab.localhost:")
        assert ada.run_cell("print(6 * 7)") == "42\n"
        assert ada.run_cell("print(open('/shared/datasets/hello.txt').read())") == "to all\n"
        wait_for("a falling balance", lambda: balance(stack) < before, within_s=30)
        ada.stop(within_s=60)
    wait_for("an empty runtime", lambda: not stack.sessions(ended_too=True), within_s=60)
    charges = stack.lab_command("account", "ada")["charges"]
    assert sum(one["amount_mgpu_ms"] for one in charges) == before - balance(stack) > 0
    assert '"event": "refused"' not in stack.compose("logs", "--no-color", "gate")


def tried(stack: Stack, container: str, *places: str) -> dict[str, str]:
    made = stack.engine.client.exec_create(container, ["python", "-c", _TRY, *places])
    said = stack.engine.client.exec_start(made["Id"]).decode()
    return dict(line.rsplit(" ", 1) for line in said.splitlines())


def address_in(stack: Stack, service: str, network: str) -> str:
    (name,) = stack.compose("ps", "-q", service).split()
    told: dict[str, Any] = stack.engine.client.inspect_container(name)["NetworkSettings"]
    found: str = next(one["IPAddress"] for key, one in told["Networks"].items()
                      if key.endswith(network))  # fmt: skip
    return found


def test_p40_a_session_reaches_hub_and_listener_and_nothing_else_of_the_machine(
    stack: Stack,
) -> None:
    network = stack.told["LAB_NETWORK"]
    listener = host_listener()
    try:
        assert listener.stdout is not None
        port = int(listener.stdout.readline())
        with ada_of(stack) as ada, stack.guest("chen") as chen:
            assert chen.log_in().status_code == 200
            ada.start("cpu", within_s=_START_S)
            chen.start("cpu", within_s=_START_S)
            first, second = stack.sessions()
            neighbour = second["NetworkSettings"]["Networks"][network]["IPAddress"]
            net = stack.told["LAB_NET"]
            blocked = (
                f"{net}.0.1:{port}", f"{net}.0.3:8000", f"{net}.0.3:8001", f"{neighbour}:8888",
                f"{address_in(stack, 'postgres', '_lab')}:5432",
                f"{address_in(stack, 'service', '_lab')}:8090", f"{net}.0.4:8090",
                f"{net}.0.4:22", f"{net}.0.2:8091", "169.254.169.254:80",
            )  # fmt: skip
            its = (f"{net}.0.2:8081", "hub:8081", f"{net}.0.4:8091")
            found = tried(stack, first["Id"], *its, *blocked)
            assert [found.pop(place) for place in its] == ["reached"] * 3
            assert set(found.values()) == {"TimeoutError"}, found
            _listener_answers_and_its_service_begins_nothing(stack, ada, first, neighbour)

            # Without the rules the same listener is reached: it is they that keep it away.
            stack.compose("stop", "network")
            stack.firewall("remove")
            assert tried(stack, first["Id"], blocked[0]) == {blocked[0]: "reached"}
            stack.compose("start", "network")
            wait_for("the rules", lambda: tried(stack, first["Id"], blocked[0])
                     == {blocked[0]: "TimeoutError"}, within_s=40)  # fmt: skip
            # And what only lacks its content is no protection: it is written anew.
            out, _ = chains_of(network)
            stack.compose("exec", "-T", "network", "iptables", "-F", out)
            wait_for("the chain's rules", lambda: "-j DROP" in stack.compose(
                "exec", "-T", "network", "iptables", "-S", out), within_s=40)  # fmt: skip
            for guest in (ada, chen):
                guest.stop(within_s=60)
    finally:
        listener.kill()
        listener.communicate()


def _listener_answers_and_its_service_begins_nothing(
    stack: Stack, ada: Guest, session: dict[str, Any], neighbour: str
) -> None:
    with ada.open_kernel() as kernel:
        status, facts = Inside(ada, kernel).ask("GET", "/facts")
    assert (status, facts.get("scholar")) == (200, "ada"), facts
    assert facts["links"]["hub_home"] == f"{stack.address}/hub/home"
    # Nothing of the service but the listener is there, rules or not.
    (service,) = stack.compose("ps", "-q", "service").split()
    here = f"{stack.told['LAB_NET']}.0.4"
    own = tried(stack, service, f"{here}:8091", f"{here}:8090", "service-api:8090")
    assert own == {f"{here}:8091": "reached", f"{here}:8090": "ConnectionRefusedError",
                   "service-api:8090": "reached"}  # fmt: skip
    its = session["NetworkSettings"]["Networks"][stack.told["LAB_NETWORK"]]["IPAddress"]
    begun = tried(stack, service, f"{its}:8888", f"{neighbour}:8888", "203.0.113.7:80")
    assert set(begun.values()) == {"TimeoutError"}, begun


def test_p33_books_are_copied_and_put_back(stack: Stack) -> None:
    stack.script("backup")
    (copy,) = (stack.site / "backups").iterdir()
    copied = {"books.dump", "hub.sqlite", "lab.yaml", "env"}
    assert {path.name for path in copy.iterdir()} == copied
    before = balance(stack)
    stack.lab_command("grant", "ada", "3", "--reason", "a try-out")
    assert balance(stack) > before
    assert "right" in stack.script("restore", str(copy)).lower()
    assert balance(stack) == before
    # The role of the service still cannot change what was.
    ask = "psql -U gpulab -d books -c 'DELETE FROM entries' 2>&1 || true"
    assert "permission denied" in stack.compose("exec", "-T", "postgres", "sh", "-c", ask)


def test_down_ends_and_charges_what_runs_and_up_goes_on(stack: Stack) -> None:
    with ada_of(stack) as ada:
        ada.start("quarter-gpu", within_s=_START_S)
    stack.script("down")
    assert stack.sessions(ended_too=True) == []
    assert stack.compose("ps", "--all", "-q") == ""
    if os.geteuid() == 0:
        rules = run("iptables", "-S")
        assert rules.returncode == 0
        assert stack.told["LAB_BRIDGE"] not in rules.stdout
    stack.script("up")
    account = stack.lab_command("account", "ada")
    assert account["sessions"] == []
    assert len(account["charges"]) >= 2
    with ada_of(stack) as ada:
        ada.start("cpu", within_s=_START_S)
        ada.stop(within_s=60)


def test_secrets_are_nobody_elses(stack: Stack, tmp_path: Path) -> None:
    for name, one in (("hub", "books_pgpass"), ("service", "cookie_secret")):
        said = stack.compose("exec", "-T", name, "ls", "/run/secrets")
        assert said.split()
        assert one not in said
    (name,) = stack.compose("ps", "-q", "hub").split()
    described = json.dumps(stack.engine.client.inspect_container(name))
    for secret in (stack.site / "secrets").iterdir():
        assert secret.read_text().strip() not in described
