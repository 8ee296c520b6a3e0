"""A whole lab for tests: the launcher as people start it, with ports and folders of its own."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import httpx2

from api.runtimes.choose import open_runtime
from lab.leftovers import end_leftovers
from lab.settings import PROJECT
from lab.state import State
from lab.supervised import Supervisor, socket_path
from lab.trial.leavings import remove_leavings
from lab.trial.text import lab_text
from lab.trial.visitor import Visitor
from lab.trial.waiting import free_ports, wait_for
from quota.observed import Observed

_READY_S = 180.0
# Sessions get their grace, the worker its last tick, supervisord its programs' time.
_STOP_S = 90.0


class RunningLab:
    """Starts a lab on entering, stops all of it on leaving, whatever happened in between."""

    def __init__(
        self,
        folder: Path,
        *,
        text: str | None = None,
        spawner: Literal["process", "docker"] = "process",
        hub_id: str = "main",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.state = State(folder / "state")
        self.lab_file = folder / "lab.yaml"
        self.lab_file.write_text(text or lab_text())
        self.spawner = spawner
        self.port, self.hub_port, self.proxy_api_port, *services = free_ports(5)
        self.service_port, self.session_listener_port = services
        self.address = f"http://lab.localhost:{self.port}"
        self.service_url = f"http://127.0.0.1:{self.service_port}"
        self.hub_id = hub_id
        # A hub of its own has a network of its own, which is removed with it.
        self.network = f"gpulab-{hub_id}"
        own = {"GPULAB_HUB_ID": hub_id, "GPULAB_DOCKER_NETWORK": self.network}
        self._environment = {**own, **(environment or {})}
        self._output = folder / "launcher.out"
        self.launcher: subprocess.Popen[bytes] | None = None
        self._visitors: list[Visitor] = []
        self._service = httpx2.Client(base_url=self.service_url, timeout=10, trust_env=False)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None,
                 _trace: TracebackType | None) -> None:  # fmt: skip
        self.close()

    def start(self) -> None:
        """Start the launcher and wait for its word that the lab is ready."""
        self.launch()
        wait_for("a lab that is ready", self._is_ready, within_s=_READY_S)

    def launch(self) -> None:
        """Start the launcher and wait for nothing."""
        with self._output.open("ab") as output:
            output.truncate(0)
            self.launcher = subprocess.Popen(
                [sys.executable, "-m", "lab", *self.flags()], cwd=PROJECT, stdout=output,
                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                env={**os.environ, **self._environment}, start_new_session=True,
            )  # fmt: skip

    def flags(self) -> list[str]:
        """Return the launcher's flags."""
        given = {
            "state-dir": self.state.root, "lab-file": self.lab_file, "spawner": self.spawner,
            "port": self.port, "hub-port": self.hub_port,
            "proxy-api-port": self.proxy_api_port, "service-port": self.service_port,
            "session-listener-port": self.session_listener_port,
        }  # fmt: skip
        return [f"--{name}={value}" for name, value in given.items()]

    @property
    def output(self) -> str:
        """What the launcher printed since its last start."""
        return self._output.read_text(errors="replace")

    def _is_ready(self) -> bool:
        assert self.launcher is not None
        assert self.launcher.poll() is None, f"the launcher ended:\n{self.output}"
        return "The lab is ready" in self.output

    def stop(self) -> int:
        """Press Ctrl-C and wait for the end; return the exit status."""
        assert self.launcher is not None
        self.launcher.send_signal(signal.SIGINT)
        return self.launcher.wait(_STOP_S)

    def close(self) -> None:
        """End everything, by force if need be."""
        for visitor in self._visitors:
            visitor.close()
        self._service.close()
        if self.launcher is not None and self.launcher.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.launcher.kill()
                self.launcher.wait()
        end_leftovers(self.state.root, patience_s=5)
        if self.state.root.is_dir():
            self._end_sessions()
        if self.spawner == "docker":
            remove_leavings(self.hub_id, self.network)

    def _end_sessions(self) -> None:
        runtime = self.runtime()
        for one in runtime.observe():
            if one.finished_at is None:
                runtime.kill(one.ref)
            runtime.remove(one.ref)

    def runtime(self) -> Any:
        """Open what really runs the sessions."""
        return open_runtime(self.spawner, self.state.root, self.hub_id)

    def sessions(self) -> list[Observed]:
        """Return the sessions that really run, asked of the runtime."""
        return [one for one in self.runtime().observe() if one.is_running]

    def visitor(self, name: str) -> Visitor:
        """Return a person with a browser, not logged in yet."""
        one = Visitor(self.address, name, self.passwords()[name])
        self._visitors.append(one)
        return one

    def logged_in(self, name: str) -> Visitor:
        """Return a person who has logged in."""
        one = self.visitor(name)
        reply = one.log_in()
        assert reply.status_code == 200, reply.text
        return one

    def passwords(self) -> dict[str, str]:
        """Return the demo accounts' passwords as the lab keeps them."""
        lines = (self.state.secrets / "demo-passwords.txt").read_text().splitlines()
        return dict(line.split() for line in lines)

    def service(self, method: str, path: str, *, token: str = "", **kind: Any) -> httpx2.Response:
        """Call the service, as the hub does unless a token is given."""
        token = token or (self.state.secrets / "admission_token").read_text().strip()
        headers = {"Authorization": f"token {token}"}
        return self._service.request(method, path, headers=headers, **kind)

    def notices(self, name: str, kind: str) -> list[str]:
        """Return what a scholar was told, newest last."""
        return [one["text"] for one in self.account(name)["notices"] if one["kind"] == kind]

    def account(self, name: str) -> dict[str, Any]:
        """Return a scholar's books."""
        reply = self.service("GET", f"/v1/accounts/{name}", params={"hub_id": self.hub_id})
        assert reply.status_code == 200, reply.text
        body: dict[str, Any] = reply.json()
        return body

    @property
    def supervisor(self) -> Supervisor:
        """The supervisor of this lab's programs."""
        return Supervisor(socket_path(self.state))

    def pid_of(self, program: str) -> int:
        """Return the process id of a program; 0 when it does not run now."""
        return next(one.pid for one in self.supervisor.programs() if one.name == program)

    def kill(self, program: str, *, within_s: float = 30) -> int:
        """Kill -9 a program and wait until another one is there; return its process id."""
        old = self.pid_of(program)
        os.kill(old, signal.SIGKILL)

        def other() -> int:
            pid = self.pid_of(program)
            return 0 if pid == old else pid

        return wait_for(f"another {program}", other, within_s=within_s)

    def hub_metrics(self, token: str) -> str:
        """Return the hub's own metrics."""
        reply = httpx2.get(
            f"http://127.0.0.1:{self.port}/hub/metrics", timeout=10, trust_env=False,
            headers={"Host": self.address.split("://")[1], "Authorization": f"token {token}"},
        )  # fmt: skip
        assert reply.status_code == 200, reply.text
        return reply.text

    def is_service_up(self) -> bool:
        """Tell whether the service answers."""
        try:
            return self.service("GET", "/readyz").status_code == 200
        except httpx2.HTTPError:
            return False

    @contextmanager
    def garbage_service(self, status: int = 200) -> Iterator[None]:
        """Answer nonsense at the service's place, which has to be stopped."""
        answers = type("Answers", (_Garbage,), {"status": status})
        server = ThreadingHTTPServer(("127.0.0.1", self.service_port), answers)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def log_of(self, program: str) -> str:
        """Return a program's log, for when something fails."""
        return (self.state.logs / f"{program}.log").read_text(errors="replace")


class _Garbage(BaseHTTPRequestHandler):
    """Says 200, or another status, and means nothing."""

    status = 200

    def do_PUT(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"state": ["held", {]')

    do_GET = do_PUT  # noqa: N815

    def log_message(self, *_words: object) -> None:
        pass
