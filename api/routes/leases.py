"""Leases: ask for a session, give it up, see where it stands."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body

from api import examples, schemas
from api.auth import CallerDep, require_hub
from api.bridge import lease_out
from api.deps import BooksDep, check_hub
from quota.errors import NoSuchLease
from quota.leases import LeaseRequest

router = APIRouter(prefix="/v1/leases", tags=["leases"])
_CHANGES = examples.answers(examples.LEASE, 401, 403, 404, 409, 413, 422, 503)


@router.put("/{lease_id}", responses=_CHANGES)
def put_lease(
    lease_id: UUID,
    body: Annotated[schemas.LeaseIn, Body(examples=[examples.LEASE_IN])],
    caller: CallerDep,
    books: BooksDep,
) -> schemas.LeaseOut:
    """Ask for a session, or what became of it; repeating the call changes nothing."""
    require_hub(caller)
    check_hub(books, body.hub_id)
    wanted = LeaseRequest(
        hub_id=body.hub_id, account=body.account, server_name=body.server_name,
        flavor=body.flavor, image=body.image,
    )  # fmt: skip
    view = books.request_lease(lease_id, wanted, present=body.present)
    return lease_out(view, books.clock.now())


@router.put("/{lease_id}/stop", responses=_CHANGES)
def put_stop(
    lease_id: UUID,
    body: Annotated[schemas.StopIn, Body(examples=[examples.STOP_IN])],
    caller: CallerDep,
    books: BooksDep,
) -> schemas.LeaseOut:
    """Ask for the end of a session; the worker ends it when the runtime shows it gone."""
    require_hub(caller)
    return lease_out(books.stop_lease(lease_id, body.reason), books.clock.now())


@router.get("/{lease_id}", responses=examples.answers(examples.LEASE, 401, 403, 404, 422, 503))
def get_lease(lease_id: UUID, caller: CallerDep, books: BooksDep) -> schemas.LeaseOut:
    """See where a lease stands."""
    view = books.lease(lease_id)
    if not caller.may_see(view.account):
        # The same words as for an id that nobody has: others' leases do not show.
        raise NoSuchLease("There is no such lease.")
    return lease_out(view, books.clock.now())
