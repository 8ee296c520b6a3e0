"""Help between people: raised hands, consent, and who may be in which session.

Like `quota.office`, one transaction each, the account's lock first, no network inside; what people
do leaves a line on the audit trail.
"""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from quota import help_queue as queue
from quota.attachments import Attachment
from quota.audit import By
from quota.desk import Desk, open_desk, open_desk_of_lease
from quota.errors import AlreadyDecided, BadText, IdConflict, NoSuchAccount, NoSuchThing
from quota.help_news import claimed_news, raised_news
from quota.help_queue import HelpRequest
from quota.outbox import tell
from quota.plain_text import check_person, check_text
from quota.service import Books
from quota.store import help as rows
from quota.store import reads, trail
from quota.store.engine import reading, transaction
from quota.visiting import Consent, ConsentChoice, Visit, visits_at

_PATH_MOST_CHARS = 1000
# The hub's answer for so many is small; more are looked at in the passes after.
_SHARED_AT_ONCE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """An attachment for which the hub may let a TA into a scholar's server."""

    account: str
    server_name: str
    attachment: Attachment


class Helping:
    """Help in one hub's lab."""

    def __init__(self, books: Books) -> None:
        self.books = books

    # -- the queue -----------------------------------------------------------------------------

    def raise_hand(
        self, request_id: UUID, name: str, *, message: str, path: str, server_name: str, by: By
    ) -> HelpRequest:
        """Ask for help as a scholar; repeating it changes nothing.

        Raises:
            NoSuchAccount: nobody in a section, so no TA would hear of it.
            AlreadyDecided: a request of theirs is open already.
            IdConflict: the id was used for another request.

        """
        check_person(name)
        if self.books.lab.section_of(name) is None:
            raise NoSuchAccount("You are in no section, so no TA would hear of it.")
        if not message.strip():
            raise BadText("Write what you need help with.")
        check_text(message, "The message")
        check_text(path, "The path", most_chars=_PATH_MOST_CHARS)
        with transaction(self.books.engine, step="hand_raised") as tx:
            desk = self._desk(tx, name)
            wanted = HelpRequest(
                id=request_id, account_id=desk.account.id, server_name=server_name,
                message=message, path=path, state="waiting", raised_at=desk.now,
            )  # fmt: skip
            earlier = rows.help_request(tx, request_id)
            if earlier is not None:
                return _same(earlier, wanted)
            if rows.open_request(tx, desk.account.id) is not None:
                raise AlreadyDecided("You ask for help already; withdraw that first.")
            rows.insert_request(tx, wanted)
            tell(tx, desk.lab, desk.account.hub_id, raised_news(desk.lab, name, wanted))
            _note(desk, by, "help.raise", wanted)
            return wanted

    def claim(self, request_id: UUID, *, by: By) -> tuple[HelpRequest, HelpRequest]:
        """Take a request up as a TA; return it as it was and as it is."""

        def claim(desk: Desk, before: HelpRequest) -> HelpRequest:
            return queue.claimed(before, by.actor, at=desk.now)

        return self._change(request_id, by, "help.claim", claim)

    def hand_over(self, request_id: UUID, to: str | None, *, by: By) -> HelpRequest:
        """Pass a request to another TA of the section, or back into the queue.

        Raises:
            NoSuchAccount: the other is no TA of this section.

        """

        def hand_over(desk: Desk, before: HelpRequest) -> HelpRequest:
            if to is not None and (desk.section is None or to not in desk.section.tas):
                raise NoSuchAccount("Only a TA of the scholar's section can take it over.")
            return queue.handed_over(before, by.actor, to, at=desk.now)

        return self._change(request_id, by, "help.hand_over", hand_over)[1]

    def resolve(self, request_id: UUID, answer: str, *, by: By) -> HelpRequest:
        """Close a request that was helped."""
        check_text(answer, "The answer")

        def resolve(desk: Desk, before: HelpRequest) -> HelpRequest:
            return queue.resolved(before, by.actor, answer, at=desk.now)

        return self._change(request_id, by, "help.resolve", resolve)[1]

    def withdraw(self, request_id: UUID, *, by: By) -> HelpRequest:
        """Take a request back as its scholar."""

        def withdraw(desk: Desk, before: HelpRequest) -> HelpRequest:
            return queue.withdrawn(before, by.actor, at=desk.now)

        return self._change(request_id, by, "help.withdraw", withdraw)[1]

    def asker(self, request_id: UUID) -> str:
        """Tell whose a request is.

        Raises:
            NoSuchThing: nobody has this id.

        """
        with reading(self.books.engine) as tx:
            return self._asker(tx, request_id)

    def open_request(self, name: str) -> HelpRequest | None:
        """Return what a scholar wants help with now, if anything."""
        with reading(self.books.engine) as tx:
            row = reads.account_row(tx, self.books.hub_id, name)
            return None if row is None else rows.open_request(tx, row["id"])

    def places(self) -> dict[UUID, int]:
        """Tell each waiting request's place among those of its section; 1 is next."""
        with reading(self.books.engine) as tx:
            waiting = rows.waiting_requests(tx, self.books.hub_id)
        lab = self.books.lab
        return queue.places((lab.section_name_of(name), one) for name, one in waiting)

    # -- consent -------------------------------------------------------------------------------

    def consent(self, name: str) -> Consent:
        """Tell when a scholar lets TAs in."""
        with reading(self.books.engine) as tx:
            row = reads.account_row(tx, self.books.hub_id, name)
            return Consent() if row is None else rows.consent_of(tx, row["id"])

    def choose(self, name: str, choice: ConsentChoice, *, by: By) -> Consent:
        """Choose when TAs may come in; who is in already stays."""
        check_person(name)
        with transaction(self.books.engine, step="consent_chosen") as tx:
            desk = self._desk(tx, name)
            before = rows.consent_of(tx, desk.account.id)
            if before.choice == choice and before.chosen_at is not None:
                return before
            after = Consent(choice=choice, chosen_at=desk.now)
            rows.save_consent(tx, desk.account.id, after)
            trail.write_audit(
                tx, by, "attach_consent", name, hub_id=self.books.hub_id, at=desk.now,
                before={"choice": before.choice}, after={"choice": choice},
            )  # fmt: skip
            return after

    # -- sessions and their visitors -----------------------------------------------------------

    def open_session(self, lease_id: UUID, no_observing: str) -> list[Visit]:
        """Note that a session tells visitors apart; return who may be in it now.

        `no_observing` says why it cannot hold a visitor to reading; empty when it can.

        Raises:
            NoSuchLease: nobody has it.

        """
        check_text(no_observing, "The reason")
        with reading(self.books.engine) as tx:
            known = rows.no_observing(tx, lease_id)
        if known != no_observing:
            with transaction(self.books.engine, step="session_opened") as tx:
                open_desk_of_lease(tx, self.books.lab, lease_id, now=self.books.clock.now())
                rows.save_open_session(tx, lease_id, no_observing)
        with reading(self.books.engine) as tx:
            return visits_at(rows.visits_of_lease(tx, lease_id), self.books.clock.now())

    def shared(self, *, ta: str | None = None) -> list[Shared]:
        """List the attachments for which the hub may let somebody in, the oldest first."""
        with reading(self.books.engine) as tx:
            found = rows.shared_attachments(tx, self.books.hub_id, ta=ta, most=_SHARED_AT_ONCE)
        return [
            Shared(account=name, server_name=server, attachment=one)
            for name, server, one in found
        ]  # fmt: skip

    def note_unshared(self, attachment_ids: list[UUID]) -> None:
        """Note that the hub lets nobody in any more for some ended attachments."""
        if not attachment_ids:
            return
        with transaction(self.books.engine, step="unshared") as tx:
            rows.note_unshared(tx, attachment_ids, self.books.clock.now())

    # -- inside --------------------------------------------------------------------------------

    def _desk(self, tx: Connection, name: str) -> Desk:
        books = self.books
        return open_desk(tx, books.lab, books.hub_id, name, now=books.clock.now())

    def _change(
        self, request_id: UUID, by: By, action: str,
        change: Callable[[Desk, HelpRequest], HelpRequest],
    ) -> tuple[HelpRequest, HelpRequest]:  # fmt: skip
        """Change a request under its scholar's lock; return it as it was and as it is."""
        with transaction(self.books.engine, step="help_changed") as tx:
            desk = self._desk(tx, self._asker(tx, request_id))
            before = rows.help_request(tx, request_id, lock=True)
            assert before is not None, "requests for help are never deleted"
            after = change(desk, before)
            if after != before:
                rows.update_request(tx, after)
                _tell_who_helps(desk, before, after)
                _note(desk, by, action, after, before)
            return before, after

    def _asker(self, tx: Connection, request_id: UUID) -> str:
        request = rows.help_request(tx, request_id)
        if request is None:
            raise NoSuchThing("There is no such request for help.")
        name: str = reads.account_rows(tx, [request.account_id])[0]["name"]
        return name


def _same(earlier: HelpRequest, wanted: HelpRequest) -> HelpRequest:
    fields = ("account_id", "server_name", "message", "path")
    if any(getattr(earlier, name) != getattr(wanted, name) for name in fields):
        raise IdConflict("This id was used before for another request for help.")
    return earlier


def _tell_who_helps(desk: Desk, before: HelpRequest, after: HelpRequest) -> None:
    if after.claimed_by != before.claimed_by:
        news = claimed_news(desk.account.name, after, desk.now)
        tell(desk.tx, desk.lab, desk.account.hub_id, news)


def _note(
    desk: Desk, by: By, action: str, after: HelpRequest, before: HelpRequest | None = None
) -> None:
    trail.write_audit(
        desk.tx, by, action, desk.account.name, hub_id=desk.account.hub_id, at=desk.now,
        reason=after.answer or after.message, before=None if before is None else _shown(before),
        after=_shown(after),
    )  # fmt: skip


def _shown(request: HelpRequest) -> dict[str, str | None]:
    return {"id": str(request.id), "state": request.state, "claimed_by": request.claimed_by}
