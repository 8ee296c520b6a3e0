"""The trail of what people did, for organizers."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.access import AccessDep
from api.bridge_office import audit_out
from api.cursors import PageDep, read_number, write_cursor
from api.deps import OfficeDep
from api.schemas import Name
from api.schemas_office import AuditPage

router = APIRouter(prefix="/v1/audit", tags=["audit"])


@router.get("")
def list_audit(
    access: AccessDep,
    office: OfficeDep,
    page: PageDep,
    subject: Annotated[
        Name | None, Query(description="Only what was done to this person or entry.")
    ] = None,
) -> AuditPage:
    """Read who did what, in order; `head` proves later that nothing was cut."""
    access.require_organizer()
    lines = office.trail(after=read_number(page.cursor), subject=subject, most=page.size)
    more = write_cursor(lines[-1].seq) if len(lines) == page.size else None
    return AuditPage(
        lines=[audit_out(one) for one in lines], head=office.trail_head().text(), next=more
    )
