"""The first page: leads everybody to what they came for."""

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

from api.pages.rooms import RoomDep
from api.pages.visitor import VisitorDep

router = APIRouter()


@router.get("/")
def get_first(visitor: VisitorDep, room: RoomDep) -> Response:
    """Lead organizers to the program, TAs to their section, and everybody else to their hours."""
    return RedirectResponse(room.addresses.page(_first_of(visitor)), status_code=303)


def _first_of(visitor: VisitorDep) -> str:
    if visitor.access.is_organizer:
        return "program"
    if visitor.access.sections:
        return f"section/{visitor.access.sections[0]}"
    return "hours"
