"""The server extension: `gpulab_session.extension` in jpserver_extensions."""

import os
from typing import Any

from gpulab_session.delivery import deliver
from gpulab_session.documents import hold_observers, no_observing
from gpulab_session.guard import Guard, Identities
from gpulab_session.listener import open_listener
from gpulab_session.routes import add_routes
from gpulab_session.visits import Visits, ask_hub


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "gpulab_session.extension"}]


def _load_jupyter_server_extension(server: Any) -> None:
    """Put the guard before everything that the server does for somebody; add our own routes."""
    deliver(server.log)
    hub_auth = getattr(server.identity_provider, "hub_auth", None)
    owner = os.environ.get("JUPYTERHUB_USER", "")
    if hub_auth is None or not owner:
        server.log.warning("gpulab: no session of a hub, so there are no visitors")
        return
    guard = Guard(owner, server.base_url, Visits(no_observing(), ask_hub))
    hub_auth.cache = Identities(owner, hub_auth.cache_max_age)
    guard.watch(server.identity_provider)
    hold_observers(guard.may_write)
    server.io_loop.add_callback(guard.run)
    image = os.environ.get("GPULAB_IMAGE", "")
    add_routes(server, open_listener(), owner=owner, mode_of=guard.mode_of, image=image)
