"""Filling a page from a list of which not everything shows."""

from collections.abc import Callable, Sequence
from typing import TypeVar

One = TypeVar("One")
Place = TypeVar("Place")


def filled(
    read: Callable[[Place | None], Sequence[One]], shows: Callable[[One], bool],
    place_of: Callable[[One], Place], *, start: Place | None, most: int, page: int,
) -> tuple[list[One], Place | None]:  # fmt: skip
    """Read on until there are `most` entries that show; return them and where to go on.

    `read` returns at most `page` entries after a place. None as the place means the end.
    """
    found: list[One] = []
    place = start
    while True:
        read_now = read(place)
        for one in read_now:
            place = place_of(one)
            if shows(one):
                found.append(one)
                if len(found) == most:
                    return found, place
        if len(read_now) < page:
            return found, None
