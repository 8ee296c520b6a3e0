"""What organizers and TAs do with the books: give, answer, refund, change rules, attach.

Like `quota.service`, one transaction each, the account's lock first, no network inside; every one
leaves a line on the audit trail in the same transaction.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from quota import amending, answers, asking, attaching, giving, refunding, stopping
from quota.amount import GpuTime
from quota.attachments import Attachment, AttachMode, DetachReason
from quota.audit import AuditLine, By, TrailHead, faults_of_trail
from quota.bulk import BulkPlan
from quota.bulk_giving import give_many
from quota.desk import Desk, open_desk, open_desk_of_lease
from quota.errors import BadText, NoSuchAccount, NoSuchThing
from quota.hour_requests import HourRequest
from quota.leases import Lease
from quota.ledger import LotSource
from quota.plain_text import check_person, check_text
from quota.refunding import Incident, RefundView
from quota.roster import RosterPlan, changed_sections
from quota.rulebook import Amendment, entry_body, entry_tag
from quota.service import Books
from quota.store import office as rows
from quota.store import reads, trail, usage
from quota.store.engine import reading, transaction
from quota.views import GrantView


class Office:
    """The desk behind the books of one hub."""

    def __init__(self, books: Books) -> None:
        self.books = books

    # -- giving ------------------------------------------------------------------------------

    def grant(
        self, grant_id: UUID, name: str, amount: GpuTime, *, by: By, reason: str,
        until: datetime | None = None, source: LotSource = "grant",
    ) -> GrantView:  # fmt: skip
        """Give extra hours: by an organizer, or `ta_grant` by a TA out of the week's budget.

        Raises:
            Refusal: see `quota.giving.give`.

        """
        self._check_known(name)
        giving.check_grant(amount, reason)
        with transaction(self.books.engine, step="grant") as tx:
            desk = self._desk(tx, name)
            row = giving.give(desk, grant_id, amount, by=by, reason=reason, until=until,
                              source=source)  # fmt: skip
            return answers.grant_view(row, self.books.hub_id, name)

    def grant_many(
        self, plan: BulkPlan, *, by: By, on_given: Callable[[int], None] | None = None
    ) -> list[GrantView]:
        """Carry out a bulk grant that was tried before; see `quota.bulk_giving`."""
        return give_many(self.books, plan, by=by, on_given=on_given)

    def refund(
        self, incident: Incident, *, by: By, names: Sequence[str] | None = None,
        dry_run: bool = False,
    ) -> list[RefundView]:  # fmt: skip
        """Give back what an incident cost, to all or some; once for each, however often asked."""
        refunding.check_incident(incident, self.books.clock.now())
        if not dry_run:
            with transaction(self.books.engine, step="refund_noted") as tx:
                refunding.note_incident(tx, self.books.hub_id, incident, by=by,
                                        at=self.books.clock.now())  # fmt: skip
        with reading(self.books.engine) as tx:
            hit = usage.charged_accounts(tx, self.books.hub_id, incident.starts_at,
                                         incident.ends_at)  # fmt: skip
        found = []
        for name in hit:
            if names is not None and name not in names:
                continue
            with transaction(self.books.engine, step="refund_given") as tx:
                view = refunding.refund(self._desk(tx, name), incident, by=by, dry_run=dry_run)
            if view is not None:
                found.append(view)
        return found

    # -- requests for hours --------------------------------------------------------------------

    def ask(self, request_id: UUID, name: str, hours: GpuTime, reason: str) -> HourRequest:
        """Ask for hours, as a scholar."""
        self._check_known(name)
        with transaction(self.books.engine, step="hours_asked") as tx:
            return asking.ask(self._desk(tx, name), request_id, hours, reason)

    def answer(
        self, request_id: UUID, granted: GpuTime | None, *, by: By, text: str,
        source: LotSource = "request",
    ) -> HourRequest:  # fmt: skip
        """Approve, approve partly, or deny; with `ta_grant` a TA's own budget gives the hours."""
        with transaction(self.books.engine, step="hours_answered") as tx:
            desk = self._desk(tx, self._asker(tx, request_id))
            return asking.answer(desk, request_id, granted, by=by, text=text, source=source)

    def withdraw(self, request_id: UUID, *, by: By) -> HourRequest:
        """Take a request back."""
        with transaction(self.books.engine, step="hours_withdrawn") as tx:
            desk = self._desk(tx, self._asker(tx, request_id))
            return asking.withdraw(desk, request_id, by=by)

    def asker(self, request_id: UUID) -> str:
        """Tell whose a request is."""
        with reading(self.books.engine) as tx:
            return self._asker(tx, request_id)

    def hour_requests(
        self, *, name: str | None = None, state: str | None = None, most: int = 200
    ) -> list[tuple[str, HourRequest]]:
        """List requests as they are now, the oldest first."""
        now = self.books.clock.now()
        with reading(self.books.engine) as tx:
            found = rows.hour_requests_of(tx, self.books.hub_id, account=name, most=most,
                                          state="open" if state == "stale" else state)  # fmt: skip
        seen = [(who, one.as_of(now)) for who, one in found]
        return [(who, one) for who, one in seen if state is None or one.state == state]

    def answered_requests(self, *, most: int) -> list[tuple[str, HourRequest]]:
        """List the requests that were answered last, the newest first."""
        with reading(self.books.engine) as tx:
            return rows.answered_requests(tx, self.books.hub_id, most=most)

    # -- sessions ------------------------------------------------------------------------------

    def stop(self, lease_id: UUID, *, by: By, reason: str) -> Lease:
        """Ask for the end of somebody's session, and tell them why; safe to repeat.

        Raises:
            NoSuchLease: nobody has it.
            BadText: the reason is not one line of plain text.

        """
        if not reason.strip():
            raise BadText("The reason may not be empty; the scholar will see it.")
        check_text(reason, "The reason")
        books = self.books
        with transaction(books.engine, step="session_stopped") as tx:
            desk = open_desk_of_lease(tx, books.lab, lease_id, now=books.clock.now())
            return stopping.stop_as_organizer(desk, lease_id, by=by, reason=reason)

    # -- attachments ---------------------------------------------------------------------------

    def attach(
        self, attachment_id: UUID, name: str, *, server_name: str, mode: AttachMode, minutes: int,
        by: By, reason: str, has_own_host: bool | None = None,
        help_request_id: UUID | None = None,
    ) -> Attachment:  # fmt: skip
        """Attach a TA to a running session; the section's help budget pays meanwhile.

        Raises:
            Refusal: see `quota.attaching.attach`.

        """
        self._check_known(name)
        with transaction(self.books.engine, step="attach") as tx:
            desk = self._desk(tx, name)
            is_new = rows.attachment_by_id(tx, attachment_id) is None
            attachment = attaching.attach(
                desk, attachment_id, by.actor, server_name=server_name, mode=mode,
                minutes=minutes, reason=reason, has_own_host=has_own_host,
                help_request_id=help_request_id,
            )  # fmt: skip
            if is_new:
                trail.write_audit(
                    tx, by, "attach", name, hub_id=self.books.hub_id, at=desk.now, reason=reason,
                    after={"mode": mode, "until": attachment.until},
                )  # fmt: skip
            return attachment

    def detach(self, attachment_id: UUID, why: DetachReason, *, by: By) -> Attachment:
        """End an attachment."""
        with transaction(self.books.engine, step="detach") as tx:
            attachment = rows.attachment_by_id(tx, attachment_id)
            if attachment is None:
                raise NoSuchThing("There is no such attachment.")
            row = reads.account_rows(tx, [attachment.account_id])[0]
            desk = self._desk(tx, row["name"])
            fresh = rows.attachment_by_id(tx, attachment_id)
            assert fresh is not None, "attachments are never deleted"
            ended = attaching.detach(desk, fresh, why)
            if fresh.is_open:
                trail.write_audit(tx, by, "detach", row["name"], hub_id=self.books.hub_id,
                                  at=desk.now, reason=why)  # fmt: skip
            return ended

    def attached_to(self, attachment_id: UUID) -> tuple[str, Attachment]:
        """Return an attachment and whose session it is at.

        Raises:
            NoSuchThing: nobody has this id.

        """
        with reading(self.books.engine) as tx:
            attachment = rows.attachment_by_id(tx, attachment_id)
            if attachment is None:
                raise NoSuchThing("There is no such attachment.")
            return reads.account_rows(tx, [attachment.account_id])[0]["name"], attachment

    def attachments_of(self, name: str) -> list[Attachment]:
        """Tell who was attached to a scholar's sessions, the newest first."""
        with reading(self.books.engine) as tx:
            row = reads.account_row(tx, self.books.hub_id, name)
            return [] if row is None else rows.attachments_of(tx, row["id"])

    # -- rules ---------------------------------------------------------------------------------

    def rule(self, part: str, name: str) -> tuple[dict[str, Any], str]:
        """Return an entry of the rules in the notation of lab.yaml, and its tag."""
        lab = self.books.lab
        return entry_body(lab, part, name), entry_tag(lab, part, name)

    def change_rule(
        self, part: str, name: str, body: Mapping[str, Any] | None, *, tag: str | None, by: By,
        reason: str,
    ) -> str:  # fmt: skip
        """Replace or take away an entry of the rules; return its new tag."""
        check_text(reason, "The reason")
        with transaction(self.books.engine, step="rule_changed") as tx:
            rules = amending.amend(
                tx, self.books.lab_file, self.books.hub_id,
                Amendment(part=part, name=name, body=body, version=0), tag=tag, by=by,
                reason=reason, at=self.books.clock.now(),
            )  # fmt: skip
        self.books.reload_rules()
        return entry_tag(rules.lab, part, name)

    def import_roster(self, plan: RosterPlan, *, by: By, reason: str) -> None:
        """Carry out a planned import: all of it, or nothing."""
        check_text(reason, "The reason")
        changes = changed_sections(self.books.lab, plan)
        with transaction(self.books.engine, step="roster_imported") as tx:
            amending.amend_many(
                tx, self.books.lab_file, self.books.hub_id, changes, by=by, reason=reason,
                at=self.books.clock.now(),
            )  # fmt: skip
        self.books.reload_rules()

    # -- the trail -----------------------------------------------------------------------------

    def trail(
        self, *, after: int = 0, subject: str | None = None, actor: str | None = None,
        most: int = 200,
    ) -> list[AuditLine]:  # fmt: skip
        """Read who did what, from a line on."""
        with reading(self.books.engine) as tx:
            return list(trail.audit_lines(tx, after=after, subject=subject, actor=actor,
                                          most=most))  # fmt: skip

    def trail_before(
        self, before: int | None, *, actor: str | None = None, subject: str | None = None,
        most: int = 100,
    ) -> list[AuditLine]:  # fmt: skip
        """Read the newest lines, or those before one, the newest first."""
        with reading(self.books.engine) as tx:
            return trail.newest_lines(tx, before=before, actor=actor, subject=subject, most=most)

    def trail_head(self) -> TrailHead:
        """Tell number and hash of the last line, to be kept elsewhere."""
        with reading(self.books.engine) as tx:
            return trail.trail_head(tx)

    def check_trail(self, exported: TrailHead | None = None) -> list[str]:
        """Check the trail against itself and a head that was exported before."""
        with reading(self.books.engine, as_of_now=True) as tx:
            return list(faults_of_trail(trail.audit_lines(tx), trail.trail_head(tx), exported))

    # -- inside --------------------------------------------------------------------------------

    def _desk(self, tx: Connection, name: str) -> Desk:
        books = self.books
        return open_desk(tx, books.lab, books.hub_id, name, now=books.clock.now())

    def _asker(self, tx: Connection, request_id: UUID) -> str:
        request = rows.hour_request(tx, request_id)
        if request is None:
            raise NoSuchThing("There is no such request.")
        name: str = reads.account_rows(tx, [request.account_id])[0]["name"]
        return name

    def _check_known(self, name: str) -> None:
        check_person(name)
        if not self.books.knows(name):
            raise NoSuchAccount("The lab knows nobody of this name.")
