"""Grants: extra GPU-hours with a reason, an author and an end; one, or many at once."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api import schemas
from api.access import AccessDep
from api.bridge import grant_out
from api.bulk import BULK_BODY, BulkDep, carry_out, try_out
from api.cursors import PAGE_MOST, PageDep, read_moment, write_moment
from api.deps import OfficeDep, amount_of, check_hub
from api.paging import filled
from api.schemas_bulk import BulkDone, BulkTrial
from api.schemas_office import GrantPage
from quota import listings
from quota.clock import whole_ms

router = APIRouter(prefix="/v1/grants", tags=["grants"])


@router.get("")
def list_grants(
    access: AccessDep,
    office: OfficeDep,
    page: PageDep,
    account: Annotated[schemas.Name | None, Query()] = None,
) -> GrantPage:
    """List the grants that you may see, the oldest first."""
    access.require_person()
    if account is not None:
        access.require_sight(account)
    found, more = filled(
        lambda place: listings.grants(office.books, name=account, after=place, most=PAGE_MOST),
        lambda one: access.sees(one.account),
        lambda one: (one.starts_at, one.id),
        start=read_moment(page.cursor), most=page.size, page=PAGE_MOST,
    )  # fmt: skip
    return GrantPage(
        grants=[grant_out(one) for one in found],
        next=None if more is None else write_moment(*more),
    )


@router.put("/{grant_id}")
def put_grant(
    grant_id: UUID, body: schemas.GrantIn, access: AccessDep, office: OfficeDep
) -> schemas.GrantOut:
    """Give extra GPU-hours; a TA gives from a weekly budget. Repeating it gives them once."""
    access.require_person()
    source = access.source_for(body.account)
    check_hub(office.books, body.hub_id)
    # The books count whole milliseconds; a repeated call has to be the same in them.
    until = None if body.until is None else whole_ms(body.until)
    view = office.grant(grant_id, body.account, amount_of(body.hours), by=access.by,
                        reason=body.reason, until=until, source=source)  # fmt: skip
    return grant_out(view)


@router.post("/bulk", openapi_extra=BULK_BODY)
def post_bulk(
    sent: BulkDep,
    access: AccessDep,
    office: OfficeDep,
    token: Annotated[
        str | None, Query(max_length=64, description="What the dry run returned.")
    ] = None,
    dry_run: Annotated[bool, Query(description="Only tell what it would do.")] = False,
) -> BulkTrial | BulkDone:
    """Give hours to many scholars, all or nobody: a dry run first, then again with its token."""
    access.require_organizer()
    check_hub(office.books, sent.hub_id)
    if dry_run:
        return try_out(office, sent)
    return carry_out(office, sent, token, by=access.by)
