"""Who looks at a page, and whether a form is really theirs."""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import Depends, Request

from api.access import Access, access_of
from api.auth import keep_pace
from api.pages.addresses import Addresses
from api.pages.cookies import SignedIn
from api.pages.rooms import RoomDep
from api.problems import Problem

FIELD = "proof"


class SignInNeeded(Exception):
    """Nobody is signed in, or not any more; `next_path` is where they wanted to go."""

    def __init__(self, next_path: str) -> None:
        super().__init__("sign-in needed")
        self.next_path = next_path


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """A person at a page: what they may do, and what their forms carry."""

    access: Access
    proof: str

    @property
    def name(self) -> str:
        """The person's name at the hub."""
        return self.access.name


async def get_visitor(request: Request, room: RoomDep) -> Visitor:
    """Find out who looks (a FastAPI dependency).

    Raises:
        SignInNeeded: nobody is signed in.

    """
    who = await _signed_in(request, room)
    try:
        caller = await room.identities.caller_of(who.token)
    except Problem as error:
        if error.status_code != 401:
            raise
        # The hub's word is good for an hour; then it is asked again, mostly unseen.
        raise SignInNeeded(_here(request)) from error
    if caller.name != who.name or caller.is_hub:
        raise SignInNeeded(_here(request))
    keep_pace(room.pace, caller.name)
    access = access_of(caller, room.books.lab, getattr(request.state, "request_id", ""))
    return Visitor(access=access, proof=room.cookies.proof_for(who))


VisitorDep = Annotated[Visitor, Depends(get_visitor)]


async def check_intent(request: Request, room: RoomDep) -> None:
    """Refuse a form that did not come from these pages (promise P45).

    The browser says where a request comes from, and no page can make it lie; a request that does
    not say comes from no browser. The proof in the form says that it is this person's own.

    Raises:
        Problem: 403.

    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is None and origin is None:
        raise _not_from_here()
    if site is not None and site != "same-origin":
        raise _not_from_here()
    if origin is not None and not _is_own(origin, request, room.addresses):
        raise _not_from_here()


async def _signed_in(request: Request, room: RoomDep) -> SignedIn:
    who = room.cookies.signed_in(request)
    if who is None:
        raise SignInNeeded(_here(request))
    return who


def _here(request: Request) -> str:
    query = f"?{request.url.query}" if request.url.query else ""
    return quote(request.url.path, safe="/%") + query


def _is_own(origin: str, request: Request, addresses: Addresses) -> bool:
    if addresses.own_origin:
        return origin == addresses.own_origin
    return urlsplit(origin).netloc == request.headers.get("host")


def _not_from_here() -> Problem:
    return Problem(403, "foreign_form", "This did not come from here",
                   "This request did not come from the lab's own pages, so nothing was done. "
                   "Open the page again and send the form from there.")  # fmt: skip
