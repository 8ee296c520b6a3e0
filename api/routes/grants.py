"""Grants: extra GPU-hours with a reason, an author and an end."""

from uuid import UUID

from fastapi import APIRouter

from api import schemas
from api.auth import CallerDep, require_organizer
from api.bridge import grant_out
from api.deps import BooksDep, check_hub
from quota.amount import GpuTime
from quota.clock import whole_ms
from quota.errors import BadAmount

router = APIRouter(prefix="/v1/grants", tags=["grants"])


@router.put("/{grant_id}")
def put_grant(
    grant_id: UUID, body: schemas.GrantIn, caller: CallerDep, books: BooksDep
) -> schemas.GrantOut:
    """Give extra GPU-hours; repeating the call gives them once."""
    require_organizer(caller)
    check_hub(books, body.hub_id)
    # The books count whole milliseconds; a repeated call has to be the same in them.
    until = None if body.until is None else whole_ms(body.until)
    view = books.grant(grant_id, body.account, _amount(body.hours), author=caller.name,
                       reason=body.reason, until=until)  # fmt: skip
    return grant_out(view)


def _amount(hours: str) -> GpuTime:
    try:
        return GpuTime.hours(hours)
    except ValueError as error:
        raise BadAmount(f"The hours cannot be used: {error}.") from error
