"""Raised hands: a scholar asks for help, the TAs of the section take it up."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request

from api.access import Access, AccessDep
from api.bridge_office import help_out
from api.cursors import PAGE_MOST, PageDep, read_moment, write_moment
from api.deps import HelpingDep, check_hub
from api.paging import filled
from api.schemas import Name
from api.schemas_help import HandOverIn, HelpIn, HelpOut, HelpPage, ResolveIn
from quota import listings
from quota.errors import NoSuchThing
from quota.help_queue import HelpRequest, HelpState
from quota.helping import Helping

router = APIRouter(prefix="/v1/help-requests", tags=["help"])


@router.put("/{request_id}")
def put_hand(request_id: UUID, body: HelpIn, access: AccessDep, helping: HelpingDep) -> HelpOut:
    """Ask the TAs of your section for help; repeating the call asks once."""
    access.require_person()
    check_hub(helping.books, body.hub_id)
    raised = helping.raise_hand(
        request_id, access.name, message=body.message, path=body.path,
        server_name=body.server_name, by=access.by,
    )  # fmt: skip
    return _out(access.name, raised, helping)


@router.put("/{request_id}/claim")
def put_claim(
    request_id: UUID, access: AccessDep, helping: HelpingDep, request: Request
) -> HelpOut:
    """Take a request up as a TA of the scholar's section."""
    account = _supported(request_id, access, helping)
    before, after = helping.claim(request_id, by=access.by)
    if before.state == "waiting":
        request.app.state.metrics.note_help_wait(after)
    return _out(account, after, helping)


@router.put("/{request_id}/hand-over")
def put_hand_over(
    request_id: UUID, body: HandOverIn, access: AccessDep, helping: HelpingDep
) -> HelpOut:
    """Pass a request that you have claimed to another TA, or put it back into the queue."""
    account = _supported(request_id, access, helping)
    return _out(account, helping.hand_over(request_id, body.to, by=access.by), helping)


@router.put("/{request_id}/resolve")
def put_resolution(
    request_id: UUID, body: ResolveIn, access: AccessDep, helping: HelpingDep
) -> HelpOut:
    """Close a request that you have claimed, with a word for the scholar if you like."""
    account = _supported(request_id, access, helping)
    return _out(account, helping.resolve(request_id, body.text, by=access.by), helping)


@router.put("/{request_id}/withdraw")
def put_withdrawal(request_id: UUID, access: AccessDep, helping: HelpingDep) -> HelpOut:
    """Take your own request for help back."""
    access.require_person()
    if helping.asker(request_id) != access.name:
        raise NoSuchThing("There is no such request for help.")
    return _out(access.name, helping.withdraw(request_id, by=access.by), helping)


@router.get("")
def list_help(
    access: AccessDep,
    helping: HelpingDep,
    page: PageDep,
    account: Annotated[Name | None, Query()] = None,
    state: HelpState | None = None,
) -> HelpPage:
    """List the requests for help that you may see, the oldest first."""
    access.require_person()
    if account is not None:
        access.require_sight(account)
    found, more = filled(
        lambda place: listings.help_requests(helping.books, name=account, state=state, after=place,
                                             most=PAGE_MOST),
        lambda one: access.sees(one[0]),
        lambda one: (one[1].raised_at, one[1].id),
        start=read_moment(page.cursor), most=page.size, page=PAGE_MOST,
    )  # fmt: skip
    places, lab = helping.places(), helping.books.lab
    return HelpPage(
        help_requests=[
            help_out(name, one, section=lab.section_name_of(name), place=places.get(one.id))
            for name, one in found
        ],
        next=None if more is None else write_moment(*more),
    )


def _supported(request_id: UUID, access: Access, helping: Helping) -> str:
    """Return whose request it is, to a TA of that section."""
    access.require_person()
    account = helping.asker(request_id)
    # Whoever does not see the scholar learns as much as from an id that nobody has.
    if not access.sees(account):
        raise NoSuchThing("There is no such request for help.")
    access.require_supporting(account)
    return account


def _out(account: str, one: HelpRequest, helping: Helping) -> HelpOut:
    place = helping.places().get(one.id) if one.state == "waiting" else None
    return help_out(account, one, section=helping.books.lab.section_name_of(account), place=place)
