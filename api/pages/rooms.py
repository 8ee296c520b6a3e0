"""What all pages share: how they sign in, look, and reach the books; made once per process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request
from starlette.responses import RedirectResponse, Response

if TYPE_CHECKING:
    from pathlib import Path

    from api.auth import Identities
    from api.metrics import Metrics
    from api.pace import Pace
    from api.pages.addresses import Addresses
    from api.pages.cookies import Cookies
    from api.pages.looks import Looks
    from api.pages.sign_in import HubDoor
    from api.sharing import Sharing
    from quota.service import Books
    from quota.standings import Standings


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The parts of the pages."""

    books: Books
    identities: Identities
    addresses: Addresses
    cookies: Cookies
    door: HubDoor
    looks: Looks
    sharing: Sharing
    metrics: Metrics
    lab_file: Path
    standings: Standings
    pace: Pace

    def done(self, path: str, word: str) -> Response:
        """Lead to a page after a deed; it says what was done."""
        answer = RedirectResponse(self.addresses.page(path), status_code=303)
        self.cookies.say(answer, word)
        return answer


async def get_room(request: Request) -> Room:
    """Hand over the parts (a FastAPI dependency)."""
    room: Room = request.app.state.room
    return room


RoomDep = Annotated["Room", Depends(get_room)]
