"""How many connections the session listener holds: in all, and of each address.

Without a bound for each, one session could keep all others out by opening many and saying nothing.
"""

import asyncio
from ipaddress import ip_address, ip_network

from uvicorn.protocols.http.h11_impl import H11Protocol

_MOST = 256
_MOST_EACH = 8
# Sessions that are processes of this machine share its own addresses.
_SHARED = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


class BoundedConnection(H11Protocol):
    """A connection that is dropped at once where there are too many."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take it in, or drop it."""
        super().connection_made(transport)
        if len(self.connections) > _MOST or self._of_same_address() > _MOST_EACH:
            transport.abort()

    def _of_same_address(self) -> int:
        """Count those of the same address, unless sessions share it."""
        if self.client is None:
            return 0
        mine = self.client[0]
        if any(ip_address(mine) in network for network in _SHARED):
            return 0
        peers = [one.client for one in self.connections if isinstance(one, H11Protocol)]
        return sum(peer is not None and peer[0] == mine for peer in peers)
