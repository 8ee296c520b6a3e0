"""Requests for hours: a scholar asks with a reason, a TA or organizer answers."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query

from api.access import AccessDep
from api.bridge_office import request_out
from api.cursors import PAGE_MOST, PageDep, read_moment, write_moment
from api.deps import OfficeDep, amount_of, check_hub
from api.paging import filled
from api.schemas import Name
from api.schemas_office import AnswerIn, AskIn, RequestOut, RequestPage
from quota import listings
from quota.errors import NoSuchThing

router = APIRouter(prefix="/v1/requests", tags=["requests"])

State = Literal["open", "approved", "denied", "withdrawn", "stale"]


@router.put("/{request_id}")
def put_request(request_id: UUID, body: AskIn, access: AccessDep, office: OfficeDep) -> RequestOut:
    """Ask for hours for yourself; repeating the call asks once."""
    access.require_person()
    check_hub(office.books, body.hub_id)
    asked = office.ask(request_id, access.name, amount_of(body.hours), body.reason)
    return request_out(access.name, asked)


@router.put("/{request_id}/answer")
def put_answer(
    request_id: UUID, body: AnswerIn, access: AccessDep, office: OfficeDep
) -> RequestOut:
    """Approve all or a part, or deny; a TA's approval takes the hours from the weekly budget."""
    access.require_person()
    account = office.asker(request_id)
    # Whoever does not see the scholar learns as much as from an id that nobody has.
    if not access.sees(account):
        raise NoSuchThing("There is no such request.")
    granted = None if body.hours is None else amount_of(body.hours)
    answered = office.answer(request_id, granted, by=access.by, text=body.text,
                             source=access.source_of_answer(account))  # fmt: skip
    return request_out(account, answered)


@router.put("/{request_id}/withdraw")
def put_withdrawal(request_id: UUID, access: AccessDep, office: OfficeDep) -> RequestOut:
    """Take your own request back."""
    access.require_person()
    if office.asker(request_id) != access.name:
        raise NoSuchThing("There is no such request.")
    return request_out(access.name, office.withdraw(request_id, by=access.by))


@router.get("")
def list_requests(
    access: AccessDep,
    office: OfficeDep,
    page: PageDep,
    account: Annotated[Name | None, Query()] = None,
    state: State | None = None,
) -> RequestPage:
    """List the requests that you may see, the oldest first."""
    access.require_person()
    if account is not None:
        access.require_sight(account)

    found, more = filled(
        lambda place: listings.hour_requests(office.books, name=account, after=place,
                                             most=PAGE_MOST),
        lambda one: access.sees(one[0]) and state in (None, one[1].state),
        lambda one: (one[1].asked_at, one[1].id),
        start=read_moment(page.cursor), most=page.size, page=PAGE_MOST,
    )  # fmt: skip
    return RequestPage(
        requests=[request_out(*one) for one in found],
        next=None if more is None else write_moment(*more),
    )
