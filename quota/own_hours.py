"""What a scholar's own pages show, each read as of one moment; nothing is written."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from quota import answers
from quota.amount import GpuTime
from quota.attachments import Attachment
from quota.chain import GENESIS
from quota.explanation import Explanation
from quota.leases import Lease
from quota.ledger import Account
from quota.line_answers import line_now
from quota.pace import DayUse, lasts_until, rate_mgpu, unposted_lines, use_by_day
from quota.placement import GpuUse
from quota.service import Books
from quota.store import reads
from quota.store.engine import reading
from quota.store.office import open_attachment
from quota.store.usage import charge_lines, charged_leases, used_since
from quota.views import AccountView, LineView, SessionView

# Without a week the page still shows the last days.
_DAYS_SHOWN = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSession:
    """An open session, on which GPU, or with which place in the line."""

    session: SessionView
    gpu: GpuUse | None
    line: LineView | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnHours:
    """A balance with its reasons, what runs, and how long the hours last."""

    account: AccountView
    explanation: Explanation
    sessions: tuple[OwnSession, ...]
    rate_mgpu: int
    lasts_until: datetime | None
    visit: Attachment | None
    """The TA who is attached now."""

    @property
    def set_aside(self) -> GpuTime:
        """What is set aside for sessions beyond what they have used."""
        return max(self.account.balance - self.account.available, GpuTime.ZERO)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerLine:
    """One session and what it has cost, posted or not."""

    lease: Lease
    begun_at: datetime
    charged: GpuTime


def own_hours(books: Books, name: str) -> OwnHours:
    """Tell somebody's hours and sessions.

    Raises:
        NoSuchAccount: neither the lab nor the books know the person.

    """
    now, lab = books.clock.now(), books.lab
    with reading(books.engine) as tx:
        view = answers.account_view(tx, lab, books.hub_id, name, now=now)
        row = reads.account_row(tx, books.hub_id, name)
        return OwnHours(
            account=view,
            explanation=answers.explanation_of(tx, view, now=now),
            sessions=tuple(_own_session(tx, books, view, one, now) for one in view.sessions),
            rate_mgpu=rate_mgpu(one.lease for one in view.sessions),
            lasts_until=hours_last(tx, view, None if row is None else row["id"], now=now),
            visit=None if row is None else visit_of(tx, row["id"], now=now),
        )


def use_of_week(books: Books, name: str) -> tuple[DayUse, ...]:
    """Tell what somebody has used on each day of the running week, else of the last days.

    Raises:
        NoSuchAccount: neither the lab nor the books know the person.

    """
    now = books.clock.now()
    with reading(books.engine) as tx:
        view = answers.account_view(tx, books.lab, books.hub_id, name, now=now)
        row = reads.account_row(tx, books.hub_id, name)
        start, end = now - _DAYS_SHOWN, now
        if view.week is not None:
            start, end = view.week.starts_at, view.week.ends_at
        lines = [] if row is None else charge_lines(tx, row["id"], start, end)
        lines += unposted_lines((one.lease for one in view.sessions), name, now=now)
        return use_by_day(lines, start, end, ZoneInfo(view.time_zone))


def ledger(
    books: Books, name: str, *, before: tuple[datetime, UUID] | None, most: int
) -> list[LedgerLine]:
    """List the sessions that somebody was charged for, the newest first."""
    now = books.clock.now()
    with reading(books.engine) as tx:
        row = reads.account_row(tx, books.hub_id, name)
        if row is None:
            return []
        found = charged_leases(tx, row["id"], before=before, newest=most)
        leases = reads.leases_by_id(tx, [lease_id for lease_id, _, _ in found])
    return [
        LedgerLine(lease=leases[lease_id], begun_at=at,
                   charged=charged + leases[lease_id].unposted(now))
        for lease_id, at, charged in found
    ]  # fmt: skip


def hours_last(
    tx: Connection, view: AccountView, account_id: int | None, *, now: datetime
) -> datetime | None:
    """Tell until when somebody's hours last, if they go on as in this week so far."""
    used = GpuTime.total(one.lease.unposted(now) for one in view.sessions)
    if account_id is not None and view.week is not None:
        used += used_since(tx, account_id, [view.week.starts_at])[0]
    return lasts_until(view.available, used, view.week, now=now)


def visit_of(tx: Connection, account_id: int, *, now: datetime) -> Attachment | None:
    """Find who is attached to an account's session now, also where an end is not written yet."""
    found = open_attachment(tx, account_id)
    return found if found is not None and now < found.until else None


def _own_session(
    tx: Connection, books: Books, view: AccountView, session: SessionView, now: datetime
) -> OwnSession:
    lease = session.lease
    line = None
    if lease.state == "waiting":
        # For its name and hub only: a place in the line does not depend on the balance.
        account = Account(id=lease.account_id, hub_id=view.hub_id, kind="scholar",
                          name=view.account, head=GENESIS)  # fmt: skip
        line = line_now(tx, books.lab, account, lease, now=now, forecasts=books.forecasts)
    gpu = None if lease.gpu_uuid is None else reads.gpu(tx, lease.gpu_uuid)
    return OwnSession(session=session, gpu=gpu, line=line)
