"""Leases: ask for a session, give it up, see where it stands."""

from uuid import UUID

from fastapi import APIRouter

from api import schemas
from api.auth import CallerDep, require_hub
from api.bridge import gpu_state_out, lease_out
from api.deps import BooksDep, HelpingDep, check_hub
from api.schemas_help import VisitOut, VisitsIn, VisitsOut
from quota.errors import NoSuchLease
from quota.idling import Idling
from quota.leases import LeaseRequest
from quota.session_states import release_at

router = APIRouter(prefix="/v1/leases", tags=["leases"])


@router.put("/{lease_id}")
def put_lease(
    lease_id: UUID, body: schemas.LeaseIn, caller: CallerDep, books: BooksDep
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


@router.put("/{lease_id}/stop")
def put_stop(
    lease_id: UUID, body: schemas.StopIn, caller: CallerDep, books: BooksDep
) -> schemas.LeaseOut:
    """Ask for the end of a session; the worker ends it when the runtime shows it gone."""
    require_hub(caller)
    return lease_out(books.stop_lease(lease_id, body.reason), books.clock.now())


@router.put("/{lease_id}/place")
def put_place(lease_id: UUID, caller: CallerDep, books: BooksDep) -> schemas.LeaseOut:
    """Keep a place in the line while its holder starts on a CPU."""
    require_hub(caller)
    return lease_out(books.keep_place(lease_id), books.clock.now())


@router.put("/{lease_id}/keep")
def put_keep(lease_id: UUID, caller: CallerDep, books: BooksDep) -> schemas.GpuStateOut:
    """Keep an idle session's GPU for a while longer, unless somebody waits for one."""
    if not caller.is_hub and books.lease(lease_id).account != caller.name:
        raise NoSuchLease("There is no such lease.")
    idling = Idling(books)
    state = idling.keep(lease_id)
    # Nobody waits, or it would have been refused.
    return gpu_state_out(state, release_at(state, idling.rules, is_wanted=False))


@router.put("/{lease_id}/visits")
def put_visits(
    lease_id: UUID, body: VisitsIn, caller: CallerDep, helping: HelpingDep
) -> VisitsOut:
    """Say for a session that it tells visitors from its scholar; hear who may be in it now."""
    require_hub(caller)
    visits = helping.open_session(lease_id, body.no_observing)
    return VisitsOut(visits=[VisitOut(ta=v.ta, mode=v.mode, until=v.until) for v in visits])


@router.get("/{lease_id}")
def get_lease(lease_id: UUID, caller: CallerDep, books: BooksDep) -> schemas.LeaseOut:
    """See where a lease stands."""
    view = books.lease(lease_id)
    if not caller.may_see(view.account):
        # The same words as for an id that nobody has: others' leases do not show.
        raise NoSuchLease("There is no such lease.")
    return lease_out(view, books.clock.now())
