"""What a running session is told about itself, read as of one moment; nothing is written."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from quota import answers
from quota.attachments import Attachment
from quota.errors import NoSuchThing
from quota.help_queue import HelpRequest
from quota.labs import PassedLab
from quota.leases import Lease
from quota.own_help import place_of
from quota.own_hours import hours_last
from quota.placement import GpuUse
from quota.service import Books
from quota.store import help as help_rows
from quota.store import reads
from quota.store.engine import reading
from quota.store.labs import passed_labs_of
from quota.store.session_states import is_gpu_wanted
from quota.views import AccountView, SessionView

# A lease that waits has no server, whatever its name says.
_RUNS = ("held", "active", "stopping")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFacts:
    """One session, its scholar's hours, and who helps; `place` counts who waits, 1 is next."""

    at: datetime
    account: AccountView
    session: SessionView
    gpu: GpuUse | None
    lasts_until: datetime | None
    visits: tuple[Attachment, ...]
    help: HelpRequest | None
    place: int | None
    passed: tuple[PassedLab, ...]
    may_keep: bool
    """Whether its GPU can be kept for a while although nothing uses it."""
    may_ask: bool
    """Whether a raised hand would be seen by somebody."""


def session_lease(books: Books, name: str, server_name: str) -> Lease:
    """Find the lease that a running server is on.

    Raises:
        NoSuchThing: there is none, or none yet.

    """
    with reading(books.engine) as tx:
        row = reads.account_row(tx, books.hub_id, name)
        return _lease(() if row is None else reads.open_leases(tx, row["id"]), server_name)


def session_facts(books: Books, name: str, server_name: str) -> SessionFacts:
    """Tell a session what it is on, what it costs, when it ends, and who is there.

    Raises:
        NoSuchThing: the session has no lease, or none yet.

    """
    now, lab = books.clock.now(), books.lab
    with reading(books.engine) as tx:
        row = reads.account_row(tx, books.hub_id, name)
        if row is None:
            raise _no_lease()
        view = answers.account_view(tx, lab, books.hub_id, name, now=now)
        lease = _lease((one.lease for one in view.sessions), server_name)
        wanted = help_rows.open_request(tx, row["id"])
        section = lab.section_of(name)
        return SessionFacts(
            at=now, account=view,
            session=next(one for one in view.sessions if one.lease.id == lease.id),
            gpu=None if lease.gpu_uuid is None else reads.gpu(tx, lease.gpu_uuid),
            lasts_until=hours_last(tx, view, row["id"], now=now),
            visits=tuple(one for one in help_rows.visits_of_lease(tx, lease.id)
                         if now < one.until),
            help=wanted, place=place_of(tx, books, wanted),
            passed=tuple(passed_labs_of(tx, row["id"])),
            may_keep=lease.state == "active" and lease.occupies
            and not is_gpu_wanted(tx, books.hub_id),
            may_ask=wanted is None and section is not None and bool(section.tas),
        )  # fmt: skip


def _lease(leases: Iterable[Lease], server_name: str) -> Lease:
    for one in leases:
        if one.server_name == server_name and one.state in _RUNS:
            return one
    raise _no_lease()


def _no_lease() -> NoSuchThing:
    return NoSuchThing("The books know of no such session, or not yet.")
