"""A section at a glance for its TAs: who needs help, runs, waits, or has no hours left.

A handful of statements in one transaction, however many scholars there are; nothing is written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, RowMapping

from quota import listings
from quota.allowances import boost_ids, settle
from quota.amount import GpuTime
from quota.attachments import Attachment
from quota.budgets import budget_left
from quota.chain import GENESIS
from quota.gpu_use import fresh_for
from quota.help_queue import HelpRequest
from quota.hour_requests import HourRequest
from quota.lab import Lab
from quota.leases import Lease
from quota.ledger import Account, Lot
from quota.service import Books
from quota.session_states import StoredState, release_at
from quota.store import reads, sections
from quota.store.engine import reading
from quota.store.session_states import is_gpu_wanted, states_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatedSession:
    """An open lease of a scholar and what it does with its GPU."""

    lease: Lease
    state: StoredState | None
    release_at: datetime | None

    @property
    def is_idle(self) -> bool:
        """Tell whether it only keeps a GPU from others."""
        return self.state is not None and self.state.is_idle


@dataclass(frozen=True, slots=True, kw_only=True)
class ScholarLine:
    """One scholar of a section as a TA sees them; `used_at` is when they last used a GPU."""

    name: str
    balance: GpuTime
    sessions: tuple[SeatedSession, ...]
    used_at: datetime | None
    attachment: Attachment | None
    hand: HelpRequest | None
    requests: tuple[HourRequest, ...]

    @property
    def is_running(self) -> bool:
        """Tell whether a session runs."""
        return any(one.lease.is_running for one in self.sessions)

    @property
    def is_on_gpu(self) -> bool:
        """Tell whether one of the running sessions has a GPU."""
        return any(one.lease.is_on_gpu for one in self.sessions)

    @property
    def is_waiting(self) -> bool:
        """Tell whether they stand in the line for a GPU."""
        return any(one.lease.state == "waiting" for one in self.sessions)

    @property
    def is_out_of_hours(self) -> bool:
        """Tell whether nothing is left of the week's hours."""
        return self.balance <= GpuTime.ZERO

    def server_of(self, attachment: Attachment) -> str | None:
        """Return the name of the session that a TA is attached to; None when it is gone."""
        names = (one.lease.server_name for one in self.sessions
                 if one.lease.id == attachment.lease_id)  # fmt: skip
        return next(names, None)

    @property
    def order(self) -> tuple[int, str, str]:
        """Order scholars by who needs somebody first; of those who want help, the longest."""
        since = self.hand.raised_at.isoformat() if self.hand else ""
        return self._urgency, since, self.name

    @property
    def _urgency(self) -> int:
        signs = (
            self.hand is not None and self.hand.claimed_by is None,
            self.hand is not None,
            bool(self.requests),
            self.is_out_of_hours,
            self.is_waiting,
            any(one.is_idle for one in self.sessions),
            bool(self.sessions),
        )
        return next((place for place, holds in enumerate(signs) if holds), len(signs))


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionOverview:
    """A section at one moment, who needs somebody first; what is left of a TA's own hours."""

    section: str
    scholars: tuple[ScholarLine, ...]
    ta_left: GpuTime

    @property
    def hands(self) -> list[tuple[ScholarLine, HelpRequest]]:
        """Who wants help, the longest first."""
        found = [(line, line.hand) for line in self.scholars if line.hand]
        return sorted(found, key=lambda one: (one[1].raised_at, one[1].id))

    @property
    def unclaimed(self) -> int:
        """Count the requests for help that nobody has taken up."""
        return sum(one.claimed_by is None for _, one in self.hands)

    @property
    def requests(self) -> list[tuple[str, HourRequest]]:
        """The open requests for hours, the oldest first."""
        found = [(line.name, one) for line in self.scholars for one in line.requests]
        return sorted(found, key=lambda one: (one[1].asked_at, one[1].id))

    @property
    def attached(self) -> list[tuple[ScholarLine, Attachment]]:
        """Who is attached to whose session, the longest first."""
        found = [(line, line.attachment) for line in self.scholars if line.attachment]
        return sorted(found, key=lambda one: (one[1].started_at, one[1].id))

    def count(self, what: str) -> int:
        """Count the scholars who are so: `is_running`, `is_waiting`, `is_out_of_hours`."""
        return sum(getattr(line, what) for line in self.scholars)


def section_overview(books: Books, section: str, ta: str) -> SectionOverview:
    """Look at a whole section, and at what a TA can still give this week."""
    now, lab = books.clock.now(), books.lab
    names = _names(books, section)
    with reading(books.engine) as tx:
        rows = {row["name"]: row for row in sections.scholar_rows(tx, books.hub_id, names)}
        lines = _lines(tx, books, names, rows, now=now)
        ta_left = budget_left(tx, lab, books.hub_id, "ta", ta, now=now)
    lines.sort(key=lambda line: line.order)
    return SectionOverview(section=section, scholars=tuple(lines), ta_left=ta_left)


def _names(books: Books, section: str) -> list[str]:
    if section != books.lab.default_section:
        return listings.scholars_of(books.lab, section)
    # Whoever signs up is in this one without being listed.
    return listings.account_names(books, sections=[section])


def _lines(
    tx: Connection, books: Books, names: Sequence[str], rows: Mapping[str, RowMapping], *,
    now: datetime,
) -> list[ScholarLine]:  # fmt: skip
    ids = [row["id"] for row in rows.values()]
    leases = reads.open_leases_of(tx, ids)
    settled = _settled(tx, books, names, rows, leases, now=now)
    seated = _seated(tx, books, [one for some in leases.values() for one in some], now=now)
    used_at = sections.charged_last(tx, ids)
    attached = sections.open_attachments(tx, ids)
    hands = sections.open_help_requests(tx, ids)
    asked: dict[int, list[HourRequest]] = {}
    for one in sections.open_hour_requests(tx, ids):
        if one.as_of(now).state == "open":
            asked.setdefault(one.account_id, []).append(one)
    return [
        ScholarLine(
            name=name, balance=_balance(account, mine, now), used_at=used_at.get(account.id),
            sessions=tuple(seated[one.id] for one in mine), attachment=attached.get(account.id),
            hand=hands.get(account.id), requests=tuple(asked.get(account.id, ())),
        )
        for name, account, mine in settled
    ]  # fmt: skip


def _settled(
    tx: Connection, books: Books, names: Sequence[str], rows: Mapping[str, RowMapping],
    leases: Mapping[int, list[Lease]], *, now: datetime,
) -> list[tuple[str, Account, list[Lease]]]:  # fmt: skip
    """Bring all accounts up to now in memory only: looking changes nothing."""
    lab = books.lab
    ids = {row["id"]: row["name"] for row in rows.values()}
    lots = reads.open_lots(tx, ids)
    boosts = [
        boost for account_id, name in ids.items()
        for boost in boost_ids(account_id, lab, lab.section_of(name), name, now)
    ]  # fmt: skip
    given = reads.existing_lots(tx, boosts)
    found = []
    for name in names:
        account = _account(books.hub_id, name, rows.get(name), lots)
        mine = settle(account, list(leases.get(account.id, ())), lab=lab,
                      section=lab.section_of(name), now=now, given=given)  # fmt: skip
        found.append((name, account, mine))
    return found


def _account(
    hub_id: str, name: str, row: RowMapping | None, lots: Mapping[int, list[Lot]]
) -> Account:
    if row is None:
        return Account(id=0, hub_id=hub_id, kind="scholar", name=name, head=GENESIS)
    return reads.account_of(row, lots[row["id"]])


def _balance(account: Account, leases: Sequence[Lease], now: datetime) -> GpuTime:
    return account.usable(now) - GpuTime.total(lease.unposted(now) for lease in leases)


def _seated(
    tx: Connection, books: Books, leases: Sequence[Lease], *, now: datetime
) -> dict[UUID, SeatedSession]:
    lab: Lab = books.lab
    states = states_of(tx, [one.id for one in leases if one.occupies])
    is_wanted = any(one.is_idle for one in states.values()) and is_gpu_wanted(tx, books.hub_id)
    fresh, found = fresh_for(lab.policy.tick_s), {}
    for lease in leases:
        state = states.get(lease.id)
        at = None if state is None else release_at(state, lab.idle, is_wanted=is_wanted)
        state = None if state is None else state.as_of(now, fresh_for=fresh)
        found[lease.id] = SeatedSession(lease=lease, state=state, release_at=at)
    return found
