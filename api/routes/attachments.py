"""Attachments: a TA at a scholar's session, with a reason and an end, shown to the scholar."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request

from api.access import AccessDep
from api.bridge_office import attachment_out
from api.cursors import PageDep, read_moment, write_moment
from api.deps import OfficeDep, check_hub
from api.schemas import Name
from api.schemas_office import AttachIn, AttachmentOut, AttachmentPage
from quota.attachments import Attachment

router = APIRouter(prefix="/v1", tags=["attachments"])


@router.put("/attachments/{attachment_id}")
def put_attachment(
    attachment_id: UUID, body: AttachIn, access: AccessDep, office: OfficeDep, request: Request
) -> AttachmentOut:
    """Attach to a scholar's running session as a TA; the section's help budget pays meanwhile.

    The books come first, then the hub is asked to let the TA in; where that has not worked yet,
    `may_enter` is null, and the worker sees to it.
    """
    access.require_person()
    check_hub(office.books, body.hub_id)
    access.require_attaching(body.account)
    made = office.attach(
        attachment_id, body.account, server_name=body.server_name, mode=body.mode,
        minutes=body.minutes, by=access.by, reason=body.reason,
        has_own_host=request.app.state.has_own_hosts, help_request_id=body.help_request_id,
    )  # fmt: skip
    return attachment_out(body.account, made, may_enter=_settled(request, made))


@router.put("/attachments/{attachment_id}/end")
def put_end(
    attachment_id: UUID, access: AccessDep, office: OfficeDep, request: Request
) -> AttachmentOut:
    """End an attachment: the TA's own, or as the scholar, or as an organizer."""
    access.require_person()
    account, attachment = office.attached_to(attachment_id)
    why = access.ending_of(account, attachment)
    ended = office.detach(attachment_id, why, by=access.by)
    return attachment_out(account, ended, may_enter=_settled(request, ended))


@router.get("/accounts/{account}/attachments")
def list_attachments(
    account: Annotated[Name, Path()], access: AccessDep, office: OfficeDep, page: PageDep
) -> AttachmentPage:
    """See who was attached to somebody's sessions, the newest first."""
    access.require_sight(account)
    place = read_moment(page.cursor)
    found = sorted(office.attachments_of(account), key=lambda one: (one.started_at, one.id),
                   reverse=True)  # fmt: skip
    left = [one for one in found if place is None or (one.started_at, one.id) < place]
    shown = left[: page.size]
    more = write_moment(shown[-1].started_at, shown[-1].id) if len(left) > len(shown) else None
    return AttachmentPage(
        attachments=[attachment_out(account, one, may_enter=None) for one in shown], next=more
    )


def _settled(request: Request, attachment: Attachment) -> bool | None:
    """Make the hub agree; return whether it lets the TA in now, None when that is not known."""
    is_settled: bool = request.app.state.sharing.settle(attachment.ta)
    return attachment.is_open if is_settled else None
