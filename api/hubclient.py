"""The JupyterHub REST API, as far as the worker needs it: stop a server."""

from urllib.parse import quote

import httpx2
import structlog

log = structlog.get_logger()

# The hub answers a stop within its slow_stop_timeout; a hub that is stopped or busy answers
# nothing.
_TIMEOUT_S = 5.0


class HubClient:
    """Asks the hub for things; never relies on its answer (promises, F1 and F2)."""

    def __init__(self, hub_api_url: str, service_token: str) -> None:
        self._http = httpx2.Client(
            base_url=hub_api_url,
            timeout=_TIMEOUT_S,
            headers={"Authorization": f"token {service_token}"},
        )

    def stop_server(self, user: str, server_name: str) -> bool:
        """Ask for a stop; True when the hub took the request, or may have.

        The runtime shows what became of it. A hub that is silent may be at it: it answers when
        the session is gone, or after its slow_stop_timeout.
        """
        path = f"/users/{quote(user, safe='')}"
        path += f"/servers/{quote(server_name, safe='')}" if server_name else "/server"
        try:
            reply = self._http.delete(path)
        except httpx2.ReadTimeout:
            log.warning("hub_stop_unanswered", after_s=_TIMEOUT_S)
            return True
        except httpx2.HTTPError as error:
            log.warning("hub_stop_failed", error=type(error).__name__)
            return False
        # 204 stopped, 202 stopping; 404 and 400: the hub knows no such running server.
        return reply.status_code in (202, 204)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()
