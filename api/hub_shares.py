"""Shares in JupyterHub: who may come into whose server, besides its owner.

People have no right to share, so every share of a server with a person is the service's own.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx2
import structlog

log = structlog.get_logger()

# The hub answers such questions from memory; a hub that is stopped or busy answers nothing.
_TIMEOUT_S = 5.0
# More than a TA is attached to; what a page of the hub leaves out is found at a later look.
_PAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A TA may come into a scholar's server."""

    owner: str
    server_name: str
    ta: str


class HubShares:
    """Makes, lists and takes back shares; False and None stand for a hub that did not answer."""

    def __init__(
        self, hub_api_url: str, service_token: str, *, timeout_s: float = _TIMEOUT_S,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:  # fmt: skip
        self._http = httpx2.Client(
            base_url=hub_api_url,
            timeout=timeout_s,
            headers={"Authorization": f"token {service_token}"},
            transport=transport,
            # The hub is next door: no proxy from the environment may come between.
            trust_env=False,
        )

    def of(self, ta: str) -> frozenset[Share] | None:
        """List into whose servers somebody may come; None when the hub does not say."""
        reply = self._ask("GET", f"/users/{_part(ta)}/shared?limit={_PAGE}")
        if reply is not None and reply.status_code == 404:
            # Nobody of this name: nothing is shared with them.
            return frozenset()
        if reply is None or reply.status_code != 200:
            return None
        try:
            return frozenset(_shares(ta, reply.json()))
        except (ValueError, TypeError, KeyError, AttributeError):
            log.warning("hub_shares_not_understood")
            return None

    def make(self, share: Share) -> bool:
        """Let a TA in; safe to repeat."""
        path = f"/shares/{_part(share.owner)}/{_part(share.server_name)}"
        reply = self._ask("POST", path, {"user": share.ta})
        return reply is not None and reply.status_code == 200

    def revoke(self, share: Share) -> bool:
        """Let a TA in no more; safe to repeat: what is not there is as good as taken back."""
        path = (f"/users/{_part(share.ta)}/shared/{_part(share.owner)}/"
                f"{_part(share.server_name)}")  # fmt: skip
        reply = self._ask("DELETE", path)
        return reply is not None and reply.status_code in (204, 404)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _ask(self, method: str, path: str, body: object = None) -> httpx2.Response | None:
        try:
            reply = self._http.request(method, path, json=body)
        except httpx2.HTTPError as error:
            log.warning("hub_shares_not_asked", error=type(error).__name__)
            return None
        if reply.status_code not in (200, 204, 404):
            log.warning("hub_shares_refused", method=method, status=reply.status_code)
        return reply


def _shares(ta: str, body: Any) -> list[Share]:
    # What a group shares is not ours, and nobody makes it.
    return [
        Share(owner=one["server"]["user"]["name"], server_name=one["server"]["name"], ta=ta)
        for one in body["items"]
        if one["kind"] == "user"
    ]


def _part(name: str) -> str:
    return quote(name, safe="")
