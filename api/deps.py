"""What routes are handed: the books, and the office behind them."""

from typing import Annotated

from fastapi import Depends, Request

from api.problems import Problem
from quota.amount import GpuTime
from quota.emergency_books import Emergencies
from quota.errors import BadAmount
from quota.helping import Helping
from quota.office import Office
from quota.reserving_ahead import Reserving
from quota.service import Books


async def get_books(request: Request) -> Books:
    """Hand over the books (a FastAPI dependency; async, so that no thread is spent on it)."""
    books: Books = request.app.state.books
    return books


async def get_office(request: Request) -> Office:
    """Hand over the office."""
    return Office(request.app.state.books)


async def get_helping(request: Request) -> Helping:
    """Hand over what helps people to help each other."""
    return Helping(request.app.state.books)


async def get_reserving(request: Request) -> Reserving:
    """Hand over what scholars reserve ahead with."""
    return Reserving(request.app.state.books)


async def get_emergencies(request: Request) -> Emergencies:
    """Hand over the emergencies."""
    return Emergencies(request.app.state.books)


BooksDep = Annotated[Books, Depends(get_books)]
OfficeDep = Annotated[Office, Depends(get_office)]
EmergenciesDep = Annotated[Emergencies, Depends(get_emergencies)]
HelpingDep = Annotated[Helping, Depends(get_helping)]
ReservingDep = Annotated[Reserving, Depends(get_reserving)]


def check_hub(books: Books, hub_id: str) -> None:
    """Refuse a hub whose books are not kept here."""
    if hub_id != books.hub_id:
        raise Problem(
            404, "no_such_hub", "Unknown hub", "This service keeps no books of that hub."
        )


def amount_of(hours: str) -> GpuTime:
    """Read hours that somebody wrote.

    Raises:
        BadAmount: they are no amount of GPU time.

    """
    try:
        return GpuTime.parse(hours)
    except ValueError as error:
        raise BadAmount(f"The hours cannot be used: {error}.") from error
