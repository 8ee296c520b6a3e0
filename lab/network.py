"""The Docker network of the sessions: its own, on which they cannot reach each other."""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.errors import APIError, DockerException, NotFound
from requests.exceptions import RequestException

from lab.engine import connect
from lab.errors import CannotStart

_ICC = "com.docker.network.bridge.enable_icc"
_MTU = "com.docker.network.driver.mtu"
_USUAL_MTU = 1500
_BRIDGE = "com.docker.network.bridge.name"
_DEFAULT_ROUTE = "00000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionNetwork:
    """The network as this machine sees it."""

    name: str
    # This machine's address on it, at which sessions reach a hub that runs here.
    gateway: str
    bridge: str
    has_ipv6: bool


def ensure_network(name: str) -> SessionNetwork:
    """Make the network unless it is there.

    Raises:
        CannotStart: the engine refuses, or another kind of network has the name.

    """
    return _ask(name, _ensure)


def find_network(name: str) -> SessionNetwork:
    """Return the network, which has to be there.

    Raises:
        CannotStart: it is not, or is one of another kind.

    """
    return _ask(name, _find)


def _ask(name: str, get: Callable[[Any, str], Any]) -> SessionNetwork:
    try:
        client = connect()
        try:
            return _seen(get(client, name))
        finally:
            client.close()
    except APIError as error:
        raise CannotStart(
            f"the Docker engine refuses the network {name}: {error.explanation}"
        ) from error
    except (DockerException, RequestException) as error:
        raise CannotStart("the Docker engine stopped answering; start it again") from error


def _find(client: Any, name: str) -> Any:
    network = _present(client, name)
    if network is None:
        raise CannotStart(f"there is no Docker network {name}")
    return network


def _present(client: Any, name: str) -> Any:
    try:
        # By exact name; the engine's own filter would also take longer names.
        network = next(
            (one for one in client.networks.list(names=[name]) if one.name == name), None
        )
        if network is not None:
            network.reload()
            _check(network)
    except NotFound:
        return None  # removed a moment ago
    return network


def _ensure(client: Any, name: str) -> Any:
    if network := _present(client, name):
        return network
    network = client.networks.create(
        name,
        driver="bridge",
        # The engine takes a subnet that is free here. Sessions must not reach each other.
        options={_ICC: "false", _MTU: str(outside_mtu())},
        labels={"gpulab.network": "sessions"},
    )
    network.reload()
    return network


def _check(network: Any) -> None:
    options = network.attrs.get("Options") or {}
    if network.attrs.get("Driver") != "bridge" or options.get(_ICC) != "false":
        raise CannotStart(
            f"the Docker network {network.name} is there, and sessions could reach each other on "
            f"it; remove it (docker network rm {network.name}) or set GPULAB_DOCKER_NETWORK"
        )


def _seen(network: Any) -> SessionNetwork:
    options = network.attrs.get("Options") or {}
    return SessionNetwork(
        name=network.name, gateway=_gateway(network),
        bridge=options.get(_BRIDGE) or f"br-{network.id[:12]}",
        has_ipv6=bool(network.attrs.get("EnableIPv6")),
    )  # fmt: skip


def _gateway(network: Any) -> str:
    found = (network.attrs.get("IPAM") or {}).get("Config") or []
    settings = [one for one in found if ":" not in one.get("Subnet", "")]
    if not settings:
        raise CannotStart(f"the Docker network {network.name} has no addresses")
    first = settings[0]
    if gateway := first.get("Gateway"):
        return str(ipaddress.ip_interface(gateway).ip)
    # Some engines leave it out: then it is the first address.
    return str(next(ipaddress.ip_network(first["Subnet"]).hosts()))


def outside_mtu(
    routes: Path = Path("/proc/net/route"), devices: Path = Path("/sys/class/net")
) -> int:
    """Return the largest packet that the way out takes; bigger ones would be lost silently."""
    try:
        rows = [line.split() for line in routes.read_text().splitlines()[1:]]
        device = next(row[0] for row in rows if len(row) > 1 and row[1] == _DEFAULT_ROUTE)
        return int((devices / device / "mtu").read_text())
    except (OSError, ValueError, StopIteration):
        return _USUAL_MTU
