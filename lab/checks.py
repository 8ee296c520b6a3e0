"""What has to be right before anything starts; each fault is one sentence."""

import errno
import re
import shutil
import socket
import subprocess
from pathlib import Path

from lab.errors import CannotStart
from lab.settings import PROJECT, venv_bin

# What configurable-http-proxy 5 asks for.
_OLDEST_NODE = 20
_PROXY = PROJECT / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy"


def check_ports(wanted: dict[str, tuple[str, int]]) -> None:
    """See that nobody else has the ports, by their environment variables' names.

    Raises:
        CannotStart: a port is taken, twice the same, or may not be used.

    """
    seen: dict[int, str] = {}
    for variable, (host, port) in wanted.items():
        if port in seen:
            raise CannotStart(
                f"port {port} is wanted twice; set {seen[port]} and {variable} to different ports"
            )
        seen[port] = variable
        problem = _port_problem(host, port)
        if problem:
            raise CannotStart(f"port {port} on {host} {problem}; choose another with {variable}")


def _port_problem(host: str, port: int) -> str:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # As the servers do: a connection that lingers from the last run is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return _PORT_PROBLEMS.get(error.errno or 0, f"cannot be used ({error.strerror})")
    return ""


_PORT_PROBLEMS = {
    errno.EADDRINUSE: "is in use by another program",
    errno.EACCES: "needs more rights than this user has",
    errno.EADDRNOTAVAIL: "is not an address of this machine",
}


def find_proxy() -> tuple[Path, Path]:
    """Find Node.js and the proxy's program.

    Raises:
        CannotStart: one of them is missing.

    """
    node = find_node()
    if node is None:
        raise CannotStart(
            f"Node.js {_OLDEST_NODE} or newer is needed for the proxy and is not here; "
            "run scripts/setup.sh lab, which installs it"
        )
    if not _PROXY.exists():
        raise CannotStart("the proxy is not installed; run scripts/setup.sh lab")
    return node, _PROXY


def find_node() -> Path | None:
    """Return a Node.js that is new enough: the machine's, else the one from PyPI."""
    candidates = (shutil.which("node"), str(venv_bin() / "node"))
    for candidate in candidates:
        if candidate and _node_major(candidate) >= _OLDEST_NODE:
            return Path(candidate)
    return None


def _node_major(node: str) -> int:
    try:
        answer = subprocess.run(
            [node, "--version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.match(r"v(\d+)\.", answer.stdout)
    return int(found[1]) if found else 0
