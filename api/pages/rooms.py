"""What all pages share: how they sign in, look, and reach the books; made once per process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

if TYPE_CHECKING:
    from pathlib import Path

    from api.auth import Identities
    from api.pages.addresses import Addresses
    from api.pages.cookies import Cookies
    from api.pages.looks import Looks
    from api.pages.sign_in import HubDoor
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
    lab_file: Path
    standings: Standings


async def get_room(request: Request) -> Room:
    """Hand over the parts (a FastAPI dependency)."""
    room: Room = request.app.state.room
    return room


RoomDep = Annotated["Room", Depends(get_room)]
