"""What the hub knows of sessions and of people at them; telling it of sessions that compute.

JupyterHub knows of messages and requests only: a notebook that trains in silence looks idle to it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx2
import structlog

log = structlog.get_logger()

_TIMEOUT_S = 10.0
_PAGE = 200
_MOST_PAGES = 100

Server = tuple[str, str]
"""The name of a person, and of one of their servers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubLook:
    """One answer of the hub.

    `servers` are all that it has in hand, those that start or stop too; `signs` is when somebody
    was last seen at each that is ready.
    """

    servers: frozenset[Server]
    signs: Mapping[Server, datetime]


class HubActivity:
    """The activity of all servers of a hub, without what was only posted here."""

    def __init__(
        self, hub_api_url: str, service_token: str,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:  # fmt: skip
        self._http = httpx2.Client(
            base_url=hub_api_url,
            timeout=_TIMEOUT_S,
            transport=transport,
            headers={
                "Authorization": f"token {service_token}",
                "Accept": "application/jupyterhub-pagination+json",
            },
        )
        # What was posted for a server, and the last sign of a person before that.
        self._posted: dict[Server, tuple[datetime, datetime]] = {}

    def look(self) -> HubLook | None:
        """Ask the hub for its servers and the last signs of people; None when nobody tells."""
        try:
            servers = {
                (str(user["name"]), str(name)): server
                for user in self._users()
                for name, server in _mapping(user.get("servers")).items()
            }
            told = {
                key: at for key, server in servers.items()
                if server["ready"] and (at := _instant(server.get("last_activity"))) is not None
            }  # fmt: skip
        except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
            log.warning("hub_activity_unknown", error=type(error).__name__)
            return None
        self._posted = {key: one for key, one in self._posted.items() if key in told}
        signs = {key: self._without_ours(key, at) for key, at in told.items()}
        return HubLook(servers=frozenset(servers), signs=signs)

    def post(
        self, servers: Iterable[Server], signs: Mapping[Server, datetime], now: datetime, *,
        every: timedelta,
    ) -> None:  # fmt: skip
        """Tell the hub that these servers are in use, each no more often than `every`."""
        for user, name in servers:
            posted_at = self._posted.get((user, name), (None, now))[0]
            if posted_at is not None and now - posted_at < every:
                continue
            path = f"/users/{quote(user, safe='')}/activity"
            body = {"servers": {name: {"last_activity": now.isoformat()}}}
            try:
                self._http.post(path, json=body).raise_for_status()
            except httpx2.HTTPError as error:
                # At the next look again; the culler's time is far longer.
                log.warning("activity_not_posted", error=type(error).__name__)
                continue
            self._posted[user, name] = (now, signs[user, name])

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _without_ours(self, key: Server, at: datetime) -> datetime:
        """Take what was posted here for what it is: no sign of a person."""
        posted_at, sign_before = self._posted.get(key, (None, at))
        return sign_before if posted_at is not None and at <= posted_at else at

    def _users(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for _ in range(_MOST_PAGES):
            where = f"/users?state=active&limit={_PAGE}&offset={len(found)}"
            body = self._http.get(where).raise_for_status().json()
            items = body["items"]
            found += items
            if not items or body["_pagination"]["next"] is None:
                return found
        raise ValueError("more pages than any hub has")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _instant(text: Any) -> datetime | None:
    if not isinstance(text, str):
        return None
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("an instant without a zone")
    return at
