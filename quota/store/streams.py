"""Reading tables that are too large to be in memory: in blocks, in the order of a key."""

from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

from sqlalchemy import Connection, text

# Large enough that the work on a block outweighs the work around it, small enough for the caches.
BLOCK = 250

Row: TypeAlias = Sequence[Any]
_AnyRow = TypeVar("_AnyRow", bound=Row)


def blocks(tx: Connection, query: str) -> Iterator[Sequence[Row]]:
    """Read plain rows in blocks; the database keeps what was not asked for yet."""
    statement = text(query).execution_options(stream_results=True, yield_per=BLOCK)
    yield from tx.execute(statement).partitions(BLOCK)


def rows(tx: Connection, query: str) -> Iterator[Row]:
    """Read plain rows one by one."""
    for block in blocks(tx, query):
        yield from block


def id_column(tx: Connection, name: str) -> str:
    """Return what to select so that `ids` can read an id as its 16 bytes."""
    return f"uuid_send({name})" if tx.dialect.name == "postgresql" else name


def ids(tx: Connection, column: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a column of ids as 16 bytes each, whatever the database keeps them as."""
    if tx.dialect.name == "postgresql":
        return column
    return tuple([one and bytes.fromhex(one) for one in column])


class Piles(Generic[_AnyRow]):
    """Rows in the order of the key that stands first in them, handed out key by key."""

    def __init__(self, rows: Iterator[_AnyRow]) -> None:
        self._rows = rows
        self._ahead = next(rows, None)
        self._strays: set[int] = set()

    def of(self, key: int) -> Iterator[_AnyRow]:
        """Hand out the rows of a key; keys are asked for in their order."""
        while self._ahead is not None and self._ahead[0] <= key:
            row, self._ahead = self._ahead, next(self._rows, None)
            if row[0] == key:
                yield row
            else:
                self._strays.add(row[0])

    def strays(self) -> list[int]:
        """Tell at the end which keys had rows and were not asked for."""
        rest = () if self._ahead is None else (self._ahead, *self._rows)
        return sorted(self._strays | {row[0] for row in rest})
