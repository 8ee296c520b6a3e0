"""The Docker network of the sessions: its own, on which they cannot reach each other."""

import ipaddress
from pathlib import Path
from typing import Any

from docker.errors import APIError, NotFound
from requests.exceptions import RequestException

from lab.engine import connect
from lab.errors import CannotStart

_ICC = "com.docker.network.bridge.enable_icc"
_MTU = "com.docker.network.driver.mtu"
_USUAL_MTU = 1500
_DEFAULT_ROUTE = "00000000"


def ensure_network(name: str) -> str:
    """Make the network unless it is there; return the address at which sessions reach the hub.

    Raises:
        CannotStart: the engine refuses, or another kind of network has the name.

    """
    try:
        client = connect()
        try:
            return _gateway(_ensure(client, name))
        finally:
            client.close()
    except APIError as error:
        raise CannotStart(
            f"the Docker engine refuses the network {name}: {error.explanation}"
        ) from error
    except RequestException as error:
        raise CannotStart("the Docker engine stopped answering; start it again") from error


def _ensure(client: Any, name: str) -> Any:
    try:
        # By exact name; the engine's own filter would also take longer names.
        network = next(
            (one for one in client.networks.list(names=[name]) if one.name == name), None
        )
        if network is not None:
            network.reload()
            _check(network)
            return network
    except NotFound:
        pass  # removed a moment ago
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


def _gateway(network: Any) -> str:
    settings = (network.attrs.get("IPAM") or {}).get("Config") or []
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
