"""The session listener as a socket of the real service: it starts, bounds connections, ends."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Thread

import httpx2
import pytest
import uvicorn
from sqlalchemy import Engine

from api.serve import session_config
from lab.trial.waiting import free_ports, wait_for
from tests.api.desk import settings_on, url_of
from tests.api.processes import (
    HEADERS,
    ROOT,
    ServiceProcess,
    lab_environment,
    service_process,
)
from tests.quota.books import LAB_YAML
from tests.session_side.side import open_side

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
# More than each address may have, at one that is not loopback's.
_MANY = 30


@pytest.fixture
def service(engine: Engine, tmp_path: Path) -> Iterator[ServiceProcess]:
    folder = tmp_path / "lab"
    folder.mkdir()
    environment = lab_environment(url_of(engine), folder, LAB_YAML)
    with service_process(environment) as running:
        yield running


def test_p36_two_sockets_each_with_its_own_routes_and_one_end(
    service: ServiceProcess, engine: Engine, tmp_path: Path
) -> None:
    for url, path, status in (
        (service.url, "/v1/accounts/ada", 200), (service.session_url, "/v1/accounts/ada", 404),
        (service.url, "/session/v1/facts", 404), (service.session_url, "/healthz", 404),
        # The hub's secret is no session's token.
        (service.session_url, "/session/v1/facts", 401),
    ):  # fmt: skip
        reply = httpx2.get(f"{url}{path}", headers=HEADERS, trust_env=False, timeout=20)
        assert reply.status_code == status, (url, path)
    ends_without_its_port(engine, tmp_path / "other", service.session_url.rpartition(":")[2])
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(timeout=30) == 0
    for url in (service.url, service.session_url):
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(f"{url}/healthz", trust_env=False)


def ends_without_its_port(engine: Engine, folder: Path, taken: str) -> None:
    """See that half a service does not stay: whoever keeps it alive starts it again."""
    folder.mkdir()
    (port,) = free_ports(1)
    environment = lab_environment(url_of(engine), folder, LAB_YAML, GPULAB_SERVICE_PORT=str(port),
                                  GPULAB_SESSION_LISTENER_PORT=taken)  # fmt: skip
    done = subprocess.run([sys.executable, "-m", "api.serve"], cwd=ROOT, env=environment,
                          capture_output=True, text=True, timeout=120, check=False)  # fmt: skip
    assert done.returncode != 0
    assert "address already in use" in done.stdout + done.stderr


@pytest.fixture
def listener(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, int]]:
    """The listener by itself, to which 127.0.0.1 and 127.0.0.2 are two containers."""
    monkeypatch.setattr("api.session_side.connections._SHARED", ())
    (port,) = free_ports(1)
    with open_side(engine, tmp_path / "lab") as side:
        settings = settings_on(engine, tmp_path / "lab", session_listener_port=port)
        server = uvicorn.Server(session_config(settings, side.app))
        thread = Thread(target=server.run)
        thread.start()
        try:
            wait_for("the listener", lambda: server.started, within_s=30)
            yield "127.0.0.1", port
        finally:
            server.should_exit = True
            thread.join(30)


def test_p47_one_address_holds_few_connections_and_others_come_in(
    listener: tuple[str, int],
) -> None:
    with ExitStack() as opened:
        many = [opened.enter_context(socket.create_connection(listener, timeout=10))
                for _ in range(_MANY)]  # fmt: skip
        wait_for("few that are open", lambda: sum(map(is_open, many)) == 8, within_s=20)
        # What the others get in meanwhile does not depend on whether these ever say anything.
        transport = httpx2.HTTPTransport(local_address="127.0.0.2")
        with httpx2.Client(transport=transport, trust_env=False, timeout=10) as other:
            reply = other.get(f"http://{listener[0]}:{listener[1]}/session/v1/facts")
        assert reply.status_code == 401
        assert sum(map(is_open, many)) == 8


def is_open(one: socket.socket) -> bool:
    """Tell whether the other side has not dropped a connection on which nobody says anything."""
    one.setblocking(False)
    try:
        return one.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
