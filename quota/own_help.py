"""What a scholar sees of help: raised hands, who was in their sessions, and who may come in."""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from quota import help_queue as queue
from quota.attachments import Attachment
from quota.help_queue import HelpRequest
from quota.own_hours import visit_of
from quota.service import Books
from quota.store import help as rows
from quota.store import office, reads
from quota.store.engine import reading
from quota.visiting import Consent

_NEWEST = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnHelp:
    """Help from one scholar's side; `place` counts who waits in the section, 1 is next."""

    requests: tuple[HelpRequest, ...]
    place: int | None
    servers: tuple[str, ...]
    """The names of the sessions that run."""
    visit: Attachment | None
    visits: tuple[Attachment, ...]
    """The newest attachments; the one that lasts is among them."""
    consent: Consent

    @property
    def wanted(self) -> HelpRequest | None:
        """The request that is open."""
        return next((one for one in self.requests if one.is_open), None)


def own_help(books: Books, name: str, *, now: datetime) -> OwnHelp:
    """Tell what somebody asked for and who came."""
    with reading(books.engine) as tx:
        row = reads.account_row(tx, books.hub_id, name)
        if row is None:
            return OwnHelp(requests=(), place=None, servers=(), visit=None, visits=(),
                           consent=Consent())  # fmt: skip
        asked = rows.help_requests_of(tx, books.hub_id, account=name, most=_NEWEST,
                                      newest_first=True)  # fmt: skip
        found = OwnHelp(
            requests=tuple(one for _, one in asked),
            place=None,
            servers=tuple(one.server_name for one in reads.open_leases(tx, row["id"])
                          if one.is_running),
            visit=visit_of(tx, row["id"], now=now),
            visits=tuple(office.attachments_of(tx, row["id"], most=_NEWEST)),
            consent=rows.consent_of(tx, row["id"]),
        )  # fmt: skip
        return replace(found, place=place_of(tx, books, found.wanted))


def place_of(tx: Connection, books: Books, wanted: HelpRequest | None) -> int | None:
    """Count who waits in a section before and with a request; None when it does not wait."""
    if wanted is None or wanted.state != "waiting":
        return None
    waiting = rows.waiting_requests(tx, books.hub_id)
    section_of = books.lab.section_name_of
    return queue.places((section_of(who), one) for who, one in waiting).get(wanted.id)
