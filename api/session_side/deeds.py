"""What is done for a session, each with the very use case that the pages have for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from api.pages.addresses import Addresses
from api.session_side.bridge import facts_out
from api.session_side.caller import Session
from api.session_side.fresh import FreshFacts
from api.session_side.schemas import FactsOut
from api.sharing import Sharing
from quota.errors import NoSuchThing
from quota.explanation import Explanation
from quota.help_queue import HelpRequest
from quota.helping import Helping
from quota.idling import Idling
from quota.labs import PassedLab
from quota.leases import Lease, LeaseState
from quota.office import Office
from quota.passing import pass_lab
from quota.service import Books
from quota.session_facts import session_facts, session_lease


class SessionDeeds:
    """All that a session may have done; without a lease in the books it is nothing."""

    def __init__(
        self, books: Books, sharing: Sharing, addresses: Addresses, fresh: FreshFacts
    ) -> None:
        self._books = books
        self._helping = Helping(books)
        self._sharing = sharing
        self._addresses = addresses
        self._fresh = fresh

    def facts(self, session: Session) -> FactsOut:
        """Tell what there is to tell, as of two seconds ago at most."""

        def make() -> FactsOut:
            found = session_facts(self._books, session.name, session.server_name)
            return facts_out(found, self._books.lab, self._addresses)

        return self._fresh.of(session.name, session.server_name, make)

    def why(self, session: Session) -> Explanation:
        """Explain the scholar's balance."""
        self._lease(session)
        return self._books.explanation(session.name)

    def raise_hand(
        self, session: Session, request_id: UUID, message: str, path: str
    ) -> tuple[HelpRequest, int | None]:
        """Ask for help in this session; return the request and its place."""
        with self._changing(session):
            raised = self._helping.raise_hand(
                request_id, session.name, message=message, path=path,
                server_name=session.server_name, by=session.by,
            )  # fmt: skip
        return raised, self._helping.places().get(request_id)

    def withdraw(self, session: Session, request_id: UUID) -> HelpRequest:
        """Take back what the scholar asked.

        Raises:
            NoSuchThing: it is nobody's or another's.

        """
        with self._changing(session):
            if self._helping.asker(request_id) != session.name:
                raise NoSuchThing("There is no such request for help.")
            return self._helping.withdraw(request_id, by=session.by)

    def keep(self, session: Session) -> datetime:
        """Keep the GPU although nothing uses it; return until when."""
        with self._changing(session) as lease:
            kept_until = Idling(self._books).keep(lease.id).kept_until
        assert kept_until is not None, "it was kept just now"
        return kept_until

    def end(self, session: Session) -> LeaseState:
        """End the session as its scholar does on the page of GPU-hours."""
        with self._changing(session) as lease:
            if lease.state == "stopping":
                return lease.state
            return self._books.stop_lease(lease.id, "scholar").lease.state

    def end_visit(self, session: Session, attachment_id: UUID) -> None:
        """End somebody's visit in this session.

        Raises:
            NoSuchThing: there is no such visit here.

        """
        office = Office(self._books)
        with self._changing(session) as lease:
            _, attachment = office.attached_to(attachment_id)
            if attachment.lease_id != lease.id:
                raise NoSuchThing("There is no such attachment.")
            office.detach(attachment_id, "scholar_ended", by=session.by)
        # The worker does it within a tick where the hub does not answer now.
        self._sharing.settle(attachment.ta)

    def pass_lab(self, session: Session, lab_name: str) -> PassedLab:
        """Note that the scholar has passed a lab."""
        with self._changing(session):
            return pass_lab(self._books, session.name, lab_name)

    @contextmanager
    def _changing(self, session: Session) -> Iterator[Lease]:
        """Hand over the session's lease; what was told of it is made anew after the change."""
        yield self._lease(session)
        self._fresh.forget(session.name, session.server_name)

    def _lease(self, session: Session) -> Lease:
        return session_lease(self._books, session.name, session.server_name)
