"""Prove that a session of this image works, without any network: `python /srv/smoke/base.py`.

The session's own program is started as a hub would start it, before a stand-in of the hub.
"""

# ruff: noqa: T201 - what it prints is what it is run for

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from jupyter_client.manager import start_new_kernel
from jupyter_core.paths import jupyter_path
from jupyterlab_server.config import get_federated_extensions

HUB_PORT, SESSION_PORT = 18081, 18888
PREFIX = "/user/smoke/"
START_S = 90
# Routes of the extensions: a route that is there wants a login, one that is not is not found.
EXTENSIONS = {
    "collaboration": ("PUT", "api/collaboration/session/a.ipynb"),
    "nbgitpuller": ("GET", "git-pull"),
    "the lab's own": ("GET", "gpulab/facts"),
    "no such route": ("GET", "api/nothing-of-this-name"),
}


class Hub(BaseHTTPRequestHandler):
    """As much of a hub as a session asks for when it starts."""

    def do_GET(self) -> None:
        """Tell the version."""
        self._answer({"version": "6.1.1"})

    def do_POST(self) -> None:
        """Take notice of activity."""
        self._answer({})

    def _answer(self, body: dict[str, str]) -> None:
        with suppress(BrokenPipeError):  # a session that ends in the middle of a report
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def start_session() -> subprocess.Popen[bytes]:
    """Start the program of the image's CMD with the variables that a hub gives it."""
    hub = f"http://127.0.0.1:{HUB_PORT}"
    given = {
        "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{SESSION_PORT}{PREFIX}",
        "JUPYTERHUB_SERVICE_PREFIX": PREFIX,
        "JUPYTERHUB_API_URL": f"{hub}/hub/api",
        "JUPYTERHUB_ACTIVITY_URL": f"{hub}/hub/api/users/smoke/activity",
        "JUPYTERHUB_BASE_URL": "/",
        "JUPYTERHUB_API_TOKEN": "smoke",
        "JUPYTERHUB_CLIENT_ID": "jupyterhub-user-smoke",
        "JUPYTERHUB_OAUTH_CALLBACK_URL": f"{PREFIX}oauth_callback",
        "JUPYTERHUB_USER": "smoke",
        "JUPYTERHUB_SERVER_NAME": "",
        # Nobody is there: what is shown without the lab's answer is what this proves.
        "GPULAB_SESSION_API": "http://127.0.0.1:9/session/v1",
    }
    log = Path("/tmp/session.log").open("wb")  # noqa: S108, SIM115 - the child's, in a container
    return subprocess.Popen(
        ["jupyterhub-singleuser"], env=os.environ | given, stdout=log, stderr=log
    )


def status_of(method: str, path: str) -> int:
    """Ask the session for a path; a way to the login is an answer, and is not followed."""
    asking = HTTPConnection("127.0.0.1", SESSION_PORT, timeout=10)
    try:
        asking.request(method, PREFIX + path)
        return asking.getresponse().status
    finally:
        asking.close()


def wait_for(session: subprocess.Popen[bytes]) -> float:
    """Return after how many seconds the session answered."""
    began = time.monotonic()
    while time.monotonic() - began < START_S:
        if session.poll() is not None:
            break
        try:
            if status_of("GET", "api") == 200:
                return time.monotonic() - began
        except OSError:
            time.sleep(0.05)
    sys.exit("the session did not start:\n" + Path("/tmp/session.log").read_text()[-2000:])  # noqa: S108


def notebook_parts() -> set[str]:
    """Return what JupyterLab loads into the page beside its own parts."""
    found = get_federated_extensions(jupyter_path("labextensions"))
    return {name for name, one in found.items() if _is_whole(one)}


def _is_whole(one: dict[str, Any]) -> bool:
    return (Path(one["ext_path"]) / one["jupyterlab"]["_build"]["load"]).is_file()


def compute() -> str:
    """Run a cell in a kernel, as a notebook does."""
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        answer = client.execute_interactive("6 * 7", timeout=60, output_hook=lambda _: None,
                                            user_expressions={"it": "6 * 7"})  # fmt: skip
        return str(answer["content"]["user_expressions"]["it"]["data"]["text/plain"])
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def main() -> None:
    """Start a session, ask its extensions, run a cell."""
    assert os.getuid() != 0, "a session runs as an ordinary user"
    hub = ThreadingHTTPServer(("127.0.0.1", HUB_PORT), Hub)
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    session = start_session()
    try:
        print(f"session answers after {wait_for(session):.1f} s")
        found = {name: status_of(*route) for name, route in EXTENSIONS.items()}
        print(f"routes: {found}")
        assert found.pop("no such route") == 404, "the session says what is not there"
        assert 404 not in found.values(), f"an extension is missing: {found}"
    finally:
        session.terminate()
        session.wait(timeout=30)
    parts = notebook_parts()
    assert "gpulab-session" in parts, f"the notebook's part of the lab is missing: {parts}"
    result = compute()
    assert result == "42", result
    print(f"a kernel computes 6 * 7 = {result}")
    print("base: ok")


if __name__ == "__main__":
    main()
