"""A scholar's page within a TA's section: who may look, and where its forms lead."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from starlette.responses import Response

from api.access import Access, no_such_account
from api.pages.rooms import Room, RoomDep
from api.pages.visitor import Visitor, VisitorDep
from quota.helping import Helping
from quota.office import Office


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A scholar's page, and who looks at it."""

    section: str
    scholar: str
    request: Request
    visitor: Visitor
    room: Room

    @property
    def access(self) -> Access:
        """What the visitor may do."""
        return self.visitor.access

    @property
    def office(self) -> Office:
        """The office behind the books."""
        return Office(self.room.books)

    @property
    def helping(self) -> Helping:
        """Help between people."""
        return Helping(self.room.books)

    def done(self, word: str, *, to_section: bool = False) -> Response:
        """Lead to the scholar's page, or the section's, which says what was done."""
        path = f"section/{self.section}" + ("" if to_section else f"/people/{self.scholar}")
        return self.room.done(path, word)


def get_place(
    section: str, scholar: str, request: Request, visitor: VisitorDep, room: RoomDep
) -> Place:
    """Let through to scholars of a section that the visitor supports (a FastAPI dependency).

    Raises:
        Problem: 404 for everybody and everything else.

    """
    visitor.access.require_section(section)
    found = room.books.lab.section_of(scholar)
    if found is None or found.name != section or not room.books.knows(scholar):
        raise no_such_account()
    return Place(section=section, scholar=scholar, request=request, visitor=visitor, room=room)


PlaceDep = Annotated[Place, Depends(get_place)]
