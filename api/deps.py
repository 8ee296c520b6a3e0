"""What routes are handed: the books."""

from typing import Annotated

from fastapi import Depends, Request

from api.problems import Problem
from quota.service import Books


async def get_books(request: Request) -> Books:
    """Hand over the books (a FastAPI dependency; async, so that no thread is spent on it)."""
    books: Books = request.app.state.books
    return books


BooksDep = Annotated[Books, Depends(get_books)]


def check_hub(books: Books, hub_id: str) -> None:
    """Refuse a hub whose books are not kept here."""
    if hub_id != books.hub_id:
        raise Problem(
            404, "no_such_hub", "Unknown hub", "This service keeps no books of that hub."
        )
