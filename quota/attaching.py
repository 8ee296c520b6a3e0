"""Attaching a TA to a scholar's session and ending that, under the scholar's lock."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection

from quota.attachments import Attachment, AttachMode, DetachReason
from quota.budgets import end_help, pay_help
from quota.desk import Desk
from quota.errors import IdConflict, NotAttachable
from quota.lab import Lab
from quota.leases import Lease
from quota.news import attach_news
from quota.outbox import tell
from quota.plain_text import check_text
from quota.store import help as help_rows
from quota.store import office
from quota.visiting import Door, check_door


def attach(
    desk: Desk, attachment_id: UUID, ta: str, *, server_name: str, mode: AttachMode, minutes: int,
    reason: str, has_own_host: bool | None = None, help_request_id: UUID | None = None,
) -> Attachment:  # fmt: skip
    """Attach a TA to a running session; repeating it changes nothing.

    `has_own_host` tells whether each scholar's sessions have a host of their own; without it only
    the books are asked, not whether the TA could come in (a simulated lab has no hosts).

    Raises:
        NotAttachable: no such session runs, it is another section's, or somebody is attached.
        Refusal: the way into the session is closed; see `quota.visiting.check_door`.
        IdConflict: the id was used for another attachment.

    """
    earlier = office.attachment_by_id(desk.tx, attachment_id)
    if earlier is not None:
        if (earlier.account_id, earlier.ta, earlier.mode, earlier.reason) != (
            desk.account.id, ta, mode, reason):  # fmt: skip
            raise IdConflict("This id was used before for another attachment.")
        return earlier
    check_text(reason, "The reason")
    lease = _session(desk, server_name)
    if desk.section is None or ta not in desk.section.tas:
        raise NotAttachable("Only a TA of the scholar's section can attach.")
    if office.open_attachment(desk.tx, desk.account.id) is not None:
        raise NotAttachable("Somebody is attached to this scholar's session already.")
    request = _claimed_request(desk, ta, help_request_id)
    if has_own_host is not None:
        door = door_of(desk.tx, desk.lab, lease, has_own_host=has_own_host)
        check_door(door, mode)
    minutes = min(minutes, desk.lab.policy.attach_most_min)
    attachment = Attachment(
        id=attachment_id, account_id=desk.account.id, lease_id=lease.id, ta=ta, mode=mode,
        reason=reason, started_at=desk.now, until=desk.now + timedelta(minutes=minutes),
        help_request_id=request,
    )  # fmt: skip
    office.insert_attachment(desk.tx, attachment)
    pay_help(desk, attachment)
    desk.save()
    _tell(desk, attachment)
    return attachment


def detach(desk: Desk, attachment: Attachment, why: DetachReason) -> Attachment:
    """End an attachment; what the help budget set aside and was not used goes back soon."""
    if not attachment.is_open:
        return attachment
    end_help(desk, attachment)
    ended_at = min(desk.now, attachment.until)
    ended = replace(attachment, ended_at=ended_at, end_reason=why)
    office.end_attachment(desk.tx, ended)
    desk.save()
    _tell(desk, ended)
    return ended


def keep_helping(desk: Desk, attachment_id: UUID) -> None:
    """Pay on for an attachment, or end it when its time is over or its session is gone.

    The worker calls it at every tick before and after it looks at the session.
    """
    attachment = office.attachment_by_id(desk.tx, attachment_id)
    if attachment is None or not attachment.is_open:
        return
    is_gone = all(lease.id != attachment.lease_id for lease in desk.leases)
    if is_gone:
        detach(desk, attachment, "session_ended")
    elif desk.now >= attachment.until:
        detach(desk, attachment, "time_over")
    else:
        pay_help(desk, attachment)


def door_of(tx: Connection, lab: Lab, lease: Lease, *, has_own_host: bool) -> Door:
    """Tell what is known of the way into a session."""
    return Door(
        has_own_host=has_own_host,
        accepts_shared_origin=lab.attach.accept_shared_origin,
        consent=help_rows.consent_of(tx, lease.account_id).choice,
        asks_for_help=help_rows.open_request(tx, lease.account_id) is not None,
        no_observing=help_rows.no_observing(tx, lease.id),
    )


def _claimed_request(desk: Desk, ta: str, given: UUID | None) -> UUID | None:
    """Return the request for help that an attachment is for: the one named, or the one claimed."""
    request = help_rows.open_request(desk.tx, desk.account.id)
    is_claimed = request is not None and request.claimed_by == ta
    if given is None:
        return request.id if request is not None and is_claimed else None
    if request is None or request.id != given or not is_claimed:
        raise NotAttachable("You have not claimed this request for help, or it is closed.")
    return given


def _tell(desk: Desk, attachment: Attachment) -> None:
    news = attach_news(desk.account.name, attachment, desk.now)
    tell(desk.tx, desk.lab, desk.account.hub_id, [news])


def _session(desk: Desk, server_name: str) -> Lease:
    for lease in desk.leases:
        if lease.server_name == server_name and lease.state == "active":
            return lease
    raise NotAttachable("This scholar has no running session of this name.")
