"""What this machine can do to box sessions in beyond their containers; what it cannot is told.

The lab starts all the same: whoever runs it is told at its start, and again by `gpulab doctor`.
"""

import json
from dataclasses import asdict, dataclass
from uuid import uuid4

from docker.errors import APIError, DockerException
from requests.exceptions import RequestException

from lab.egress import Openings, chains_of, networks_in
from lab.engine import connect
from lab.errors import CannotStart
from lab.firewall import guard, machine_resolvers
from lab.network import SessionNetwork
from lab.secret_files import write_private
from lab.settings import LabSettings
from lab.state import State
from lab.tables import NotGuarded


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortcoming:
    """Something that does not protect here, and what would make it."""

    what: str
    remedy: str


def secure_sessions(
    settings: LabSettings, state: State, network: SessionNetwork
) -> tuple[Shortcoming, ...]:
    """Put the rules of the network in force, and write down what cannot be had here.

    Raises:
        CannotStart: the engine does not answer.

    """
    open_ways, open_homes = _guarded(settings, network), _homes_bounded(settings)
    found = tuple(one for one in (open_ways, open_homes) if one is not None)
    told = {"guarded": open_ways is None, "chains": chains_of(network.name),
            "shortcomings": [asdict(one) for one in found]}  # fmt: skip
    write_private(state.securing, json.dumps(told, indent=2) + "\n")
    return found


def _guarded(settings: LabSettings, network: SessionNetwork) -> Shortcoming | None:
    ports = (settings.hub_port, settings.session_listener_port)
    doors = tuple((network.gateway, port) for port in ports)
    try:
        guard(network, Openings(doors=doors, resolvers=machine_resolvers(),
                                also=networks_in(settings.sessions_reach)))  # fmt: skip
    except NotGuarded as error:
        return Shortcoming(
            what=f"sessions can reach this machine's own ports and its private networks ({error})",
            remedy="install iptables, and start the lab as root or run "
            "`python -m lab.firewall apply` as root",
        )
    return None


def _homes_bounded(settings: LabSettings) -> Shortcoming | None:
    if settings.home_gib == 0:
        return Shortcoming(what="homes may grow until the disk is full: GPULAB_HOME_GIB is 0",
                           remedy="set it to the GiB that each person may keep")  # fmt: skip
    if _can_bound_volumes():
        return None
    return Shortcoming(
        what=f"homes may grow beyond {settings.home_gib} GiB, until the disk is full: the "
        "engine's storage has no quotas",
        remedy="put the engine's data-root on XFS that is mounted with the option pquota",
    )


def _can_bound_volumes() -> bool:
    """Try it: the engine says nowhere whether its storage keeps quotas."""
    name = f"gpulab-probe-{uuid4().hex[:12]}"
    try:
        client = connect()
        try:
            client.volumes.create(name, driver_opts={"size": "1m"}).remove()
        except APIError:
            return False
        finally:
            client.close()
    except (DockerException, RequestException, OSError) as error:
        raise CannotStart("the Docker engine stopped answering; start it again") from error
    return True
