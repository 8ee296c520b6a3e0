"""Accounts of which only time can change anything: remembered, so that a tick need not ask again.

Most of what a tick does for an account is finding out that its sessions are simply still running.
That holds until the account's rows change, the rules change, the runtime shows something else, or
an instant comes at which something begins or ends. All four are looked at here; what a tick would
find meanwhile is what it found before. Pure: the rows are compared, not read, here.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from quota.agenda import blackouts
from quota.calendar import week_from
from quota.endings import Ending
from quota.entitlement import boosts_of, current_week
from quota.lab import Lab
from quota.lab_people import Section
from quota.leases import Lease
from quota.ledger import Account
from quota.observed import Observed
from quota.posting import hold_used_at

# What comes into sight from afar (`quota.exhaustion.LOOK_AHEAD`) is seen so much later at most.
_AT_MOST = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calm:
    """What a tick found, and within [since, until) would find again."""

    rows: object
    leases: tuple[Lease, ...]
    endings: Mapping[UUID, Ending]
    since: datetime
    until: datetime

    def goes_on(self, by_lease: Mapping[UUID, Observed]) -> bool:
        """Tell whether the runtime shows what it showed before: all sessions running."""
        return all(_still_runs(lease, by_lease.get(lease.id)) for lease in self.leases)

    def is_on(self, gpu_uuids: Collection[str]) -> bool:
        """Tell whether a session has its slot on one of these GPUs."""
        return any(lease.gpu_uuid in gpu_uuids for lease in self.leases)


def _still_runs(lease: Lease, one: Observed | None) -> bool:
    return (
        one is not None
        and one.ref == lease.ref
        and one.started_at is not None
        and one.finished_at is None
    )


@dataclass(slots=True)
class CalmAccounts:
    """The accounts that were calm at the last tick of one worker, by their ids."""

    _lab: Lab | None = None
    _known: dict[int, Calm] = field(default_factory=dict)

    def recall(
        self, lab: Lab, rows_by_account: Mapping[int, object], *, now: datetime
    ) -> dict[int, Calm]:
        """Return those that nothing in books, rules or time has changed; forget the others."""
        if lab is not self._lab:
            self._lab, self._known = lab, {}
        self._known = {
            account_id: calm
            for account_id, rows in rows_by_account.items()
            if (calm := self._known.get(account_id)) is not None
            and calm.since <= now < calm.until
            and calm.rows == rows
        }
        return dict(self._known)

    def forget(self, account_id: int) -> None:
        """Know nothing of an account any more."""
        self._known.pop(account_id, None)

    def remember(self, glance: "Glance", *, rows: object) -> None:
        """Keep what a tick found of an account if it is calm; `rows` are older than the glance."""
        until = glance.calm_until()
        if until is not None:
            self._known[glance.account.id] = Calm(
                rows=rows, leases=tuple(glance.leases), endings=glance.endings, since=glance.now,
                until=until,
            )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """An account after a tick that had nothing to write of it; `leases` are all it has open."""

    account: Account
    leases: Sequence[Lease]
    endings: Mapping[UUID, Ending]
    lab: Lab
    now: datetime

    def calm_until(self) -> datetime | None:
        """Return for how long nothing changes by itself; None while something may at any tick."""
        section = self.lab.section_of(self.account.name)
        if section is not None and section.pool is not None:
            return None  # others draw from it, too
        if not all(_only_runs(lease, self.now) for lease in self.leases):
            return None
        ahead = (at for at in self._edges(section) if at > self.now)
        return min((*ahead, self.now + _AT_MOST))

    def _edges(self, section: Section | None) -> Iterator[datetime]:
        """List the instants at which something may begin, end or have to be said."""
        for lot in self.account.lots:
            yield from (lot.starts_at, lot.ends_at)
        policy = self.lab.policy
        for ending in self.endings.values():
            yield ending.at
            yield from (ending.at - timedelta(minutes=some) for some in policy.warn_before_min)
        yield from (hold_used_at(one, self.lab) for one in self.leases if one.weight_mgpu)
        for window in blackouts(self.lab) if self.lab.blackouts else ():
            yield from (window.starts_at, window.ends_at)
        if section is not None:
            yield from self._edges_of_rules(section)

    def _edges_of_rules(self, section: Section) -> Iterator[datetime]:
        lab, now = self.lab, self.now
        week = current_week(lab, section, now)
        following = week_from(lab.program, section.zone, now if week is None else week.ends_at)
        yield from (() if week is None else (week.ends_at,))
        yield from (() if following is None else (following.starts_at,))
        for due in boosts_of(lab, section, self.account.name) if lab.due_dates else ():
            yield from (due.hours_from, due.due_at)


def _only_runs(lease: Lease, now: datetime) -> bool:
    return (
        lease.state == "active"
        and lease.started_at is not None
        and lease.observed_until is not None
        and lease.observed_until <= now
    )
