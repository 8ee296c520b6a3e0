"""Reservations: a scholar has a GPU share kept for a time ahead."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api.access import Access, AccessDep
from api.bridge_office import reservation_out
from api.cursors import PAGE_MOST, PageDep, read_moment, write_moment
from api.deps import ReservingDep, check_hub
from api.paging import filled
from api.schemas import Name
from api.schemas_reservations import ReservationIn, ReservationOut, ReservationPage
from quota.errors import NoSuchThing
from quota.reservations import Reservation

router = APIRouter(prefix="/v1/reservations", tags=["reservations"])


@router.put("/{reservation_id}")
def put_reservation(
    reservation_id: UUID, body: ReservationIn, access: AccessDep, reserving: ReservingDep
) -> ReservationOut:
    """Reserve a GPU share for yourself; repeating the call reserves once.

    It costs nothing: what is charged is the session that you start in it. If you start none, it is
    given to others.
    """
    access.require_person()
    check_hub(reserving.books, body.hub_id)
    made = reserving.reserve(reservation_id, access.name, flavor=body.flavor,
                             starts_at=body.starts_at, minutes=body.minutes,
                             by=access.by)  # fmt: skip
    return _out(access, access.name, made)


@router.put("/{reservation_id}/withdraw")
def put_reservation_withdrawal(
    reservation_id: UUID, access: AccessDep, reserving: ReservingDep
) -> ReservationOut:
    """Take your own reservation back."""
    access.require_person()
    if reserving.holder(reservation_id) != access.name:
        raise NoSuchThing("There is no such reservation.")
    return _out(access, access.name, reserving.withdraw(reservation_id, by=access.by))


@router.get("")
def list_reservations(
    access: AccessDep,
    reserving: ReservingDep,
    page: PageDep,
    account: Annotated[Name | None, Query()] = None,
) -> ReservationPage:
    """List the reservations that you may see, the first to begin first."""
    access.require_person()
    if account is not None:
        access.require_sight(account)
    found, more = filled(
        lambda place: reserving.listed(name=account, after=place, most=PAGE_MOST),
        lambda one: access.sees(one[0]),
        lambda one: (one[1].starts_at, one[1].id),
        start=read_moment(page.cursor), most=page.size, page=PAGE_MOST,
    )  # fmt: skip
    return ReservationPage(
        reservations=[_out(access, name, one) for name, one in found],
        next=None if more is None else write_moment(*more),
    )


def _out(access: Access, account: str, one: Reservation) -> ReservationOut:
    return reservation_out(account, one, section=access.lab.section_name_of(account))
