"""What a trial leaves at the Docker engine, and how it is removed."""

from contextlib import suppress

from docker.errors import NotFound

from lab.engine import connect
from lab.firewall import release
from lab.tables import NotGuarded


def remove_leavings(hub_id: str, network: str) -> None:
    """Remove containers, home volumes and the network of a lab that is over."""
    client = connect()
    try:
        labels = {"label": [f"gpulab.hub={hub_id}"]}
        for container in client.containers.list(all=True, filters=labels):
            container.remove(force=True, v=True)
        for volume in client.volumes.list(filters={"name": f"gpulab.{hub_id}."}):
            volume.remove()
        # It may never have come so far.
        with suppress(NotFound):
            client.networks.get(network).remove()
        with suppress(NotGuarded):
            release(network)
    finally:
        client.close()
