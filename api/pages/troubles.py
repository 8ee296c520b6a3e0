"""What pages say when something cannot be shown or done: what, why, and what to do next."""

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.pages.forms import read_form
from api.pages.rooms import Room
from api.problems import RETRY_AFTER_S, STATUS, Problem
from quota import errors

_TITLES = {404: "There is no such page", 405: "This page cannot be sent to"}
_AWAY = (
    "The lab's books do not answer just now. Running sessions go on. Try again in a few seconds."
)


async def http(request: Request, error: Exception) -> Response:
    """Show an error of HTTP, ours or the framework's."""
    assert isinstance(error, HTTPException)
    title = error.title if isinstance(error, Problem) else _TITLES.get(error.status_code, "")
    text = error.detail if isinstance(error, Problem) else ""
    answer = _page(request, error.status_code, title or "This cannot be done", text)
    answer.headers.update({**(error.headers or {}), **answer.headers})
    return answer


async def refusal(request: Request, error: Exception) -> Response:
    """Show a refusal that no field of a form is about."""
    assert isinstance(error, errors.Refusal)
    return _page(request, STATUS[type(error)], error.title, error.message)


async def unavailable(request: Request, error: Exception) -> Response:
    """Say that the database does not answer."""
    assert isinstance(error, errors.BooksUnavailable)
    return _page(request, 503, "The books do not answer", _AWAY)


async def met(request: Request, _error: Exception) -> Response:
    """Two requests met in the database, which let only one through and undid the other."""
    return _page(request, 409, "This was just done elsewhere",
                 "Somebody, perhaps you in another window, did the same at the same moment. Open "
                 "the page again to see what became of it.")  # fmt: skip


async def invalid(request: Request, _error: Exception) -> Response:
    """Say that an address cannot be read."""
    text = "Something in the address is wrong. Go back, and try again from there."
    return _page(request, 422, "This address is not understood", text)


async def signed_out(request: Request) -> Response:
    """Keep what was typed although nobody is signed in any more."""
    room: Room = request.app.state.room
    try:
        typed = await read_form(request, room)
    except Problem as error:
        return await http(request, error)
    return room.looks.page(request, "signed_out.html", status=401, typed=typed.lists,
                           here=request.url.path)  # fmt: skip


def _page(request: Request, status: int, title: str, text: str) -> Response:
    room: Room = request.app.state.room
    answer = room.looks.page(request, "trouble.html", status=status, title=title, text=text,
                             request_id=getattr(request.state, "request_id", ""))  # fmt: skip
    if status == 503:
        answer.headers["Retry-After"] = str(RETRY_AFTER_S)
    return answer
