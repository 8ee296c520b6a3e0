"""The pages as an application of their own, mounted where the hub's proxy leads people."""

from pathlib import Path

import httpx2
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import IntegrityError
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from api.auth import Identities
from api.limits import AtOnce
from api.metrics import Metrics
from api.pace import Pace
from api.pages import (
    assets,
    first,
    help_wanted,
    hours,
    news_choices,
    reserve,
    section,
    section_help,
    section_person,
    sessions,
    sign_in,
    troubles,
    used,
    week,
)
from api.pages.addresses import Addresses
from api.pages.cookies import Cookies
from api.pages.looks import Looks
from api.pages.program import routers as program
from api.pages.rooms import Room
from api.pages.sealed import Seal
from api.pages.sign_in import HubDoor
from api.pages.visitor import SignInNeeded
from api.sharing import Sharing
from quota import errors
from quota.service import Books
from quota.standings import Standings

ROUTERS = (
    sign_in.router, assets.router, first.router, hours.router, sessions.router, used.router,
    week.router, reserve.router, help_wanted.router, news_choices.router, section.router,
    section_person.router, section_help.router, *program.ROUTERS,
)  # fmt: skip

# Leases are answered by the same process, and must not wait behind many pages.
_AT_ONCE = 3


def create_pages(
    books: Books, identities: Identities, hub: httpx2.AsyncClient, *, addresses: Addresses,
    secret: str, sharing: Sharing, metrics: Metrics, lab_file: Path,
    pace: Pace,
) -> FastAPI:  # fmt: skip
    """Build the pages on the service's own books and identities."""
    pages = FastAPI(title="gpulab pages", docs_url=None, redoc_url=None, openapi_url=None)
    cookies = Cookies(Seal(secret), addresses, books.clock)
    pages.state.room = Room(
        books=books, identities=identities, addresses=addresses, cookies=cookies,
        sharing=sharing, metrics=metrics, door=HubDoor(addresses, secret, hub),
        looks=Looks(addresses, cookies, books.clock, lambda: books.lab),
        lab_file=lab_file, standings=Standings(books), pace=pace,
    )  # fmt: skip
    pages.add_exception_handler(SignInNeeded, _sign_in_needed)
    pages.add_exception_handler(HTTPException, troubles.http)
    pages.add_exception_handler(errors.Refusal, troubles.refusal)
    pages.add_exception_handler(errors.BooksUnavailable, troubles.unavailable)
    pages.add_exception_handler(IntegrityError, troubles.met)
    pages.add_exception_handler(RequestValidationError, troubles.invalid)
    pages.add_middleware(AtOnce, most=_AT_ONCE, but="/static/")
    for router in ROUTERS:
        pages.include_router(router)
    return pages


async def _sign_in_needed(request: Request, error: Exception) -> Response:
    """Lead to the hub, except where that would lose something or be seen by nobody."""
    assert isinstance(error, SignInNeeded)
    room: Room = request.app.state.room
    if request.headers.get("hx-request") == "true":
        # A part that refreshes by itself: the whole page asks again, and is led to the hub.
        return Response(status_code=401, headers={"HX-Refresh": "true"})
    if request.method != "GET":
        return await troubles.signed_out(request)
    query = str(httpx2.QueryParams({"next": error.next_path}))
    return RedirectResponse(f"{room.addresses.page('sign-in')}?{query}", status_code=303)
