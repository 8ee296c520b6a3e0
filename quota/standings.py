"""How everybody stands at one moment, read at once: for tables of many people.

The same figures as `quota.answers.account_view` gives of one person, in a handful of reads for a
whole lab.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, RowMapping

from quota.allowances import boost_ids, settle
from quota.amount import GpuTime
from quota.calendar import Week
from quota.chain import GENESIS
from quota.desk import funds
from quota.endings import closing, ending_of, runs_out_at
from quota.entitlement import current_week
from quota.gpu_use import fresh_for
from quota.lab import Lab
from quota.leases import Lease
from quota.ledger import Account, Lot
from quota.placement import GpuUse, without
from quota.rulebook import Rules
from quota.service import Books
from quota.session_states import StoredState
from quota.store import lists, reads
from quota.store.engine import reading
from quota.store.session_states import states_of_hub

_FRESH_FOR = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSession:
    """A session that has not ended: what it cost until now, its end, what its GPU does."""

    lease: Lease
    charged: GpuTime
    ends_at: datetime | None
    state: StoredState | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What somebody has, has used, and runs; hours count until their week's end."""

    account: str
    section: str | None
    week: Week | None
    granted: GpuTime
    charged: GpuTime
    held: GpuTime
    balance: GpuTime
    available: GpuTime
    debt: GpuTime
    sessions: tuple[OpenSession, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabStanding:
    """Everybody, and the GPUs, as of one moment."""

    at: datetime
    people: tuple[Standing, ...]
    gpus: tuple[GpuUse, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """All that was read, by account."""

    rows: Mapping[str, RowMapping]
    lots: Mapping[int, list[Lot]]
    leases: Mapping[int, list[Lease]]
    charged: Mapping[UUID, GpuTime]
    states: Mapping[UUID, StoredState]
    given: frozenset[UUID]


class Standings:
    """How everybody stands, worked out once for all who look within a few seconds.

    For a large lab that takes a fifth of a second: too long for each of many people who look at
    pages that refresh by themselves. Whoever changes something lets it be forgotten.
    """

    def __init__(self, books: Books) -> None:
        self._books = books
        self._lock = threading.Lock()
        self._made: tuple[Rules, LabStanding] | None = None

    def now(self, *, section: str | None = None) -> LabStanding:
        """Tell how everybody stands, or one section, as of a few seconds ago at most."""
        # One works it out; those who come meanwhile wait for that.
        with self._lock:
            if not self._is_fresh():
                self._made = (self._books.rules, lab_standing(self._books))
            assert self._made is not None
            standing = self._made[1]
        if section is None:
            return standing
        return replace(standing, people=tuple(
            one for one in standing.people if one.section == section))  # fmt: skip

    def forget(self) -> None:
        """Work it out anew at the next look."""
        with self._lock:
            self._made = None

    def _is_fresh(self) -> bool:
        if self._made is None or self._made[0] is not self._books.rules:
            return False
        return self._made[1].at <= self._books.clock.now() < self._made[1].at + _FRESH_FOR


def lab_standing(books: Books) -> LabStanding:
    """Tell how everybody stands whom the rules list or the books know."""
    lab, now = books.lab, books.clock.now()
    with reading(books.engine) as tx:
        found = _read(tx, lab, books.hub_id, now)
        gpus = without(reads.gpu_uses(tx, books.hub_id), lab.drained_gpus)
    names = sorted({*lab.roster, *found.rows})
    people = tuple(_standing(name, found, lab, books.hub_id, now) for name in names)
    return LabStanding(at=now, people=people, gpus=gpus)


def _read(tx: Connection, lab: Lab, hub_id: str, now: datetime) -> _Read:
    rows = {row["name"]: row for row in lists.scholar_rows(tx, hub_id)}
    open_leases = reads.all_open_leases(tx, hub_id)
    boosts = [
        one
        for name, row in rows.items()
        for one in boost_ids(row["id"], lab, lab.section_of(name), name, now)
    ]
    return _Read(
        rows=rows, lots=lists.lots_at(tx, hub_id, now), leases=open_leases,
        charged=reads.charged_by_lease(tx, [x.id for some in open_leases.values() for x in some]),
        states={key: one.as_of(now, fresh_for=fresh_for(lab.policy.tick_s))
                for key, one in states_of_hub(tx, hub_id).items()},
        given=frozenset(one for one, _, _ in lists.lots_named(tx, boosts)),
    )  # fmt: skip


def _standing(name: str, found: _Read, lab: Lab, hub_id: str, now: datetime) -> Standing:
    row, section = found.rows.get(name), lab.section_of(name)
    stored: Sequence[Lot] = () if row is None else found.lots.get(row["id"], ())
    leases: list[Lease] = [] if row is None else list(found.leases.get(row["id"], ()))
    account = _account(name, row, [lot for lot in stored if lot.closed_at is None], hub_id)
    leases = settle(account, leases, lab=lab, section=section, now=now, given=found.given)
    shown = {lot.id: lot for lot in stored} | {lot.id: lot for lot in account.lots}
    granted = GpuTime.total(lot.amount for lot in shown.values() if lot.is_usable(now))
    balance = account.usable(now) - GpuTime.total(lease.unposted(now) for lease in leases)
    return Standing(
        account=name, section=None if section is None else section.name,
        week=current_week(lab, section, now), granted=granted, charged=granted - balance,
        held=account.held, balance=balance, debt=account.debt,
        available=funds(account, leases, lab=lab, section=section, now=now).available,
        sessions=_sessions(account, leases, found, lab, now),
    )  # fmt: skip


def _account(name: str, row: RowMapping | None, lots: list[Lot], hub_id: str) -> Account:
    if row is None:
        return Account(id=0, hub_id=hub_id, kind="scholar", name=name, head=GENESIS)
    return reads.account_of(row, lots)


def _sessions(
    account: Account, leases: list[Lease], found: _Read, lab: Lab, now: datetime
) -> tuple[OpenSession, ...]:
    if not leases:
        return ()
    # Without the section's pool, which is asked for one person at a time.
    runs_out = runs_out_at(account, leases, lab=lab, section=lab.section_of(account.name), now=now)
    ends = [ending_of(one, runs_out, closing(lab, now), lab) for one in leases]
    return tuple(
        OpenSession(
            lease=one, state=found.states.get(one.id),
            charged=found.charged.get(one.id, GpuTime.ZERO) + one.unposted(now),
            ends_at=end.at if end is not None and one.is_running else None,
        )
        for one, end in zip(leases, ends, strict=True)
    )  # fmt: skip
