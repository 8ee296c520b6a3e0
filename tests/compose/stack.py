"""The lab in containers for a test: `make up` on a folder of its own, beside anything else."""

import json
import os
import random
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import websocket

from lab.trial.text import lab_text
from lab.trial.visitor import Kernel, Visitor
from lab.trial.waiting import free_ports
from tests.compose.tools import PROJECT, TOOLS, run, tool
from tests.engine import Engine, throwaway_engine

STANDINS = Path(__file__).parent / "standins"
_BUILD_S, _UP_S = 600, 420
_ADDRESS = "lab.localhost"


class _Door(httpx2.HTTPTransport):
    """Sends every name below localhost to this machine, and asks for it in TLS, as browsers do."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        here = httpx2.Request(
            request.method, request.url.copy_with(host="127.0.0.1"), headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": request.url.host},
        )  # fmt: skip
        return super().handle_request(here)


class Guest(Visitor):
    """A person who comes by HTTPS and checks the certificates."""

    def __init__(self, address: str, name: str, password: str, *, trusted: ssl.SSLContext) -> None:
        super().__init__(address, name, password)
        self.browser.close()
        self._trusted = trusted
        self.browser = httpx2.Client(
            base_url=address, transport=_Door(verify=trusted), follow_redirects=True, timeout=30,
            trust_env=False,
        )  # fmt: skip

    def open_kernel(self) -> Kernel:
        return _TlsKernel(self.browser, self.session_url, self.token, self._trusted)


class _TlsKernel(Kernel):
    def __init__(
        self, browser: httpx2.Client, session_url: str, token: str, trusted: ssl.SSLContext
    ) -> None:
        headers = {"Authorization": f"token {token}"}
        reply = browser.post(f"{session_url}/api/kernels", headers=headers, json={})
        assert reply.status_code == 201, reply.text
        place = httpx2.URL(f"{session_url}/api/kernels/{reply.json()['id']}/channels")
        self.socket = websocket.create_connection(
            str(place.copy_with(scheme="wss", host="127.0.0.1")), host=place.netloc.decode(),
            timeout=30, header=[f"Authorization: token {token}"], suppress_origin=True,
            sslopt={"context": trusted, "server_hostname": place.host},
        )  # fmt: skip


@dataclass(kw_only=True)
class Stack:
    """A lab in containers."""

    folder: Path
    engine: Engine
    told: dict[str, str] = field(default_factory=dict)

    @property
    def env_file(self) -> Path:
        return self.folder / "env"

    @property
    def address(self) -> str:
        port = self.told["LAB_HTTPS_PORT"].rpartition(":")[2]
        return f"https://{_ADDRESS}:{port}"

    @property
    def site(self) -> Path:
        return self.folder / "site"

    def script(self, name: str, *words: str) -> str:
        """Run one of the scripts as `make` does."""
        with_tools = {"LAB_ENV_FILE": str(self.env_file),
                      "PATH": f"{TOOLS}:{os.environ['PATH']}"}  # fmt: skip
        done = run(f"scripts/{name}.sh", *words, environment=with_tools, within_s=_UP_S)
        assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-6000:]}"
        return done.stdout

    def compose(self, *words: str, may_fail: bool = False) -> str:
        done = run(tool("docker-compose"), "--env-file", str(self.env_file), *words, within_s=120)
        assert may_fail or done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def firewall(self, what: str, *, may_fail: bool = False) -> None:
        """Let the rules of this lab's network be removed, for example, by its own program."""
        self.compose("run", "--rm", "--no-deps", "network", "python", "-m", "lab.firewall", what,
                     may_fail=may_fail)  # fmt: skip

    def lab_command(self, *words: str) -> Any:
        """Run `gpulab ... --json` where the worker is."""
        return json.loads(self.compose("exec", "-T", "worker", "gpulab", *words, "--json"))

    def guest(self, name: str) -> Guest:
        words = (self.site / "secrets/demo-passwords.txt").read_text().splitlines()
        password = dict(line.split() for line in words)[name]
        root = self.compose("exec", "-T", "caddy", "cat",
                            "/data/caddy/pki/authorities/local/root.crt")  # fmt: skip
        trusted = ssl.create_default_context(cadata=root)
        # Caddy's own authority says less about itself than the strictest check wants.
        trusted.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return Guest(self.address, name, password, trusted=trusted)

    def sessions(self, *, ended_too: bool = False) -> list[dict[str, Any]]:
        labels = {"label": [f"gpulab.hub={self.engine.hub_id}"]}
        found: list[dict[str, Any]] = self.engine.client.containers(all=ended_too, filters=labels)
        return found


@contextmanager
def running_stack(folder: Path) -> Iterator[Stack]:
    """Build the stand-ins, start the lab, and leave nothing of it behind."""
    with throwaway_engine() as engine:
        stack = Stack(folder=folder, engine=engine)
        stack.told = _settings(stack)
        (stack.site / "config").mkdir(parents=True)
        (stack.site / "config/lab.yaml").write_text(lab_text())
        (folder / "datasets").mkdir()
        (folder / "datasets/hello.txt").write_text("to all")
        lines = "".join(f"{name}={value}\n" for name, value in stack.told.items())
        stack.env_file.write_text(lines)
        try:
            stack.script("up")
            yield stack
        finally:
            _clear(stack)


def _settings(stack: Stack) -> dict[str, str]:
    mark = uuid4().hex[:6]
    http, https, grafana = free_ports(3)
    return {
        "COMPOSE_PROJECT_NAME": f"gpulab-test-{mark}",
        "LAB_SITE": str(stack.site), "LAB_HUB_ID": stack.engine.hub_id,
        "LAB_NETWORK": f"gpulab-test-{mark}", "LAB_BRIDGE": f"glt{mark}",
        # Chosen, not asked for: another lab may run here, and people's networks begin at 10.0.
        "LAB_NET": f"10.{random.randint(100, 250)}",
        "LAB_HTTP_PORT": f"127.0.0.1:{http}", "LAB_HTTPS_PORT": f"127.0.0.1:{https}",
        "LAB_GRAFANA_PORT": str(grafana),
        "LAB_DATASETS_DIR": str(stack.folder / "datasets"),
        **{f"LAB_{name.upper()}_IMAGE": _stand_in(name)
           for name in ("caddy", "postgres", "prometheus", "grafana")},
    }  # fmt: skip


def _stand_in(name: str) -> str:
    done = run("docker", "build", "-q", "--target", name, str(STANDINS), within_s=_BUILD_S)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout.split()[-1]


def _clear(stack: Stack) -> None:
    for one in stack.sessions(ended_too=True):
        stack.engine.client.remove_container(one["Id"], force=True, v=True)
    stack.compose("stop", "network", may_fail=True)
    stack.firewall("remove", may_fail=True)
    stack.compose("--profile", "*", "down", "--volumes", "--timeout", "5", may_fail=True)


def host_listener() -> subprocess.Popen[bytes]:
    """Something of this machine's that listens at all its addresses, on a port it prints."""
    code = ("import socket; s = socket.create_server(('0.0.0.0', 0)); "
            "print(s.getsockname()[1], flush=True)\nwhile True: s.accept()")  # fmt: skip
    return subprocess.Popen(["python3", "-c", code], cwd=PROJECT, stdout=subprocess.PIPE)
