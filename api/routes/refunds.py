"""Refunds of what a fault of the lab cost."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.access import AccessDep, no_such_section
from api.bridge_office import refund_out
from api.deps import OfficeDep, check_hub
from api.schemas import ShortName
from api.schemas_office import RefundIn, RefundOut
from quota.clock import whole_ms
from quota.listings import scholars_of
from quota.refunding import Incident

router = APIRouter(prefix="/v1/refunds", tags=["refunds"])

DryRun = Annotated[bool, Query(description="Only tell what it would do.")]


@router.put("/{incident}")
def put_refund(
    incident: Annotated[ShortName, Path()], body: RefundIn, access: AccessDep, office: OfficeDep,
    dry_run: DryRun = False,
) -> RefundOut:  # fmt: skip
    """Give back what was charged within an incident; once to each scholar, however often asked."""
    access.require_organizer()
    check_hub(office.books, body.hub_id)
    names = body.accounts
    if body.section is not None:
        if body.section not in access.lab.sections:
            raise no_such_section()
        inside = scholars_of(access.lab, body.section)
        names = [name for name in inside if names is None or name in names]
    fault = Incident(id=incident, starts_at=whole_ms(body.starts_at),
                     ends_at=whole_ms(body.ends_at), reason=body.reason)  # fmt: skip
    found = office.refund(fault, by=access.by, names=names, dry_run=dry_run)
    return refund_out(incident, found, dry_run=dry_run)
