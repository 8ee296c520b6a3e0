"""A small outside world behind the machine, for what sessions can reach: addresses that answer.

It is a network namespace with a wire to this machine. Only packets that come in from one bridge
are sent there, so that nothing else on the machine notices.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from uuid import uuid4

import pytest

from tests.containers import inside
from tests.engine import Engine

# This machine's own end of the wire: an address of it that looks like a public one.
WIRE = "198.51.100.1"
_THERE = "198.51.100.2"
SERVER = """
import selectors, socket, sys
chooser = selectors.DefaultSelector()
for word in sys.argv[1:]:
    host, _, port = word.rpartition(":")
    kind = socket.AF_INET6 if ":" in host else socket.AF_INET
    one = socket.socket(kind); one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.setsockopt(socket.SOL_IP, 15, 1)  # IP_FREEBIND: a new IPv6 address waits for a moment
    one.bind((host, int(port))); one.listen(64); chooser.register(one, selectors.EVENT_READ)
print("ready", flush=True)
while True:
    for key, _ in chooser.select():
        connection, _ = key.fileobj.accept(); connection.sendall(b"hello"); connection.close()
"""
# A way is open when the other side says something: whoever answers for it would not.
_VISITOR = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor
def reaches(word):
    host, _, port = word.rpartition(":")
    try:
        # The kernel answers at once, the program behind it when the machine lets it.
        with socket.create_connection((host, int(port)), 1.5) as one:
            one.settimeout(30)
            return one.recv(5) == b"hello"
    except OSError:
        return False
with ThreadPoolExecutor(32) as pool:
    print(json.dumps(dict(zip(sys.argv[1:], pool.map(reaches, sys.argv[1:])))))
"""


def needs_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may look at and change the packet filter")


def reached(engine: Engine, container: str, targets: Sequence[str]) -> dict[str, bool]:
    """Tell which addresses answer to whoever is in a container."""
    found: dict[str, bool] = json.loads(
        inside(engine, container, "python", "-c", _VISITOR, *targets)
    )
    return found


@contextmanager
def listening(*addresses: str, within: Sequence[str] = ()) -> Iterator[None]:
    """Answer at addresses with ports, on this machine or within a namespace."""
    process = subprocess.Popen(
        [*within, sys.executable, "-c", SERVER, *addresses], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield
    finally:
        process.kill()
        process.communicate()


@contextmanager
def world(bridge: str, services: Mapping[str, Sequence[int]]) -> Iterator[None]:
    """Make addresses that answer at ports, for packets from one bridge."""
    # A rule counts before the machine's main table, which comes at 32766.
    number = int(uuid4().hex[:4], 16) % 30_000 + 2000
    name, wire = f"gltest{number}", f"glt{number}"
    with ExitStack() as undo:
        _run("ip", "netns", "add", name)
        undo.callback(_run, "ip", "netns", "del", name)
        _run("ip", "link", "add", wire, "type", "veth", "peer", "name", "out0", "netns", name)
        _run("ip", "addr", "add", f"{WIRE}/30", "dev", wire)
        _run("ip", "link", "set", wire, "up")
        _run("sysctl", "-q", "-w", f"net.ipv4.conf.{wire}.rp_filter=2")
        there = ("ip", "netns", "exec", name)
        _run(*there, "ip", "addr", "add", f"{_THERE}/30", "dev", "out0")
        for device in ("lo", "out0"):
            _run(*there, "ip", "link", "set", device, "up")
        for address in services:
            _run(*there, "ip", "addr", "add", f"{address}/32", "dev", "lo")
            _run("ip", "route", "add", address, "via", _THERE, "table", str(number))
        _run("ip", "rule", "add", "iif", bridge, "lookup", str(number), "priority", str(number))
        undo.callback(_run, "ip", "rule", "del", "priority", str(number))
        words = [f"{address}:{port}" for address, ports in services.items() for port in ports]
        undo.enter_context(listening(*words, within=there))
        yield


def filter_rules() -> list[str]:
    """Return the machine's rules without counters, and without what others make meanwhile."""
    said = _run("iptables", "--wait", "-S") + _run("ip6tables", "--wait", "-S")
    return re.findall(r"^.*GPULAB.*$", said, re.MULTILINE)


def _run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout
