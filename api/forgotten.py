"""Sessions that run although the hub does not list them any more. Pure.

It happens when an old backup of the hub's database is put back, or when the hub is killed while a
session starts. Such a session can neither be opened nor stopped by its holder, and the hub's
program that stops idle sessions does not see it.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from uuid import UUID

from api.hub_activity import Server
from quota.session_states import RunningSession


class Forgotten:
    """Which sessions the hub has forgotten, and since when: missed at two looks, a while apart.

    One look alone says little: between reading the books and asking the hub a session may end.
    """

    def __init__(self) -> None:
        self._missed_from: dict[UUID, datetime] = {}
        self.since: dict[UUID, datetime] = {}

    def look(
        self, running: Iterable[RunningSession], listed: Collection[Server], now: datetime, *,
        tick_s: int,
    ) -> list[RunningSession]:  # fmt: skip
        """Compare the books with what the hub lists; return what shows only now as forgotten."""
        missing = {one.lease_id: one for one in running
                   if (one.account, one.server_name) not in listed}  # fmt: skip
        before, known = self._missed_from, self.since
        self._missed_from = {key: before.get(key, now) for key in missing}
        # Events wake the worker between its ticks: half of one lies between two looks at least.
        long_ago = now - timedelta(seconds=tick_s / 2)
        self.since = {key: at for key, at in self._missed_from.items()
                      if key in known or at <= long_ago}  # fmt: skip
        return [missing[key] for key in self.since if key not in known]
