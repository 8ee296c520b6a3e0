"""Reading tables that are too large to be in memory: in blocks, in the order of a key."""

import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from itertools import count
from queue import Empty, Queue
from typing import Any, Generic, TypeAlias, TypeVar

from sqlalchemy import Connection, text

# Large enough that the work on a block outweighs the work around it, small enough for the caches.
BLOCK = 250
# A server is asked for so many blocks at once: each time the two threads have to take turns. Of
# these, so many are read before somebody asks for them; a few, since they are in memory.
_AT_ONCE, _AHEAD = 8, 2
_cursors = count()

Row: TypeAlias = Sequence[Any]
_AnyRow = TypeVar("_AnyRow", bound=Row)
_Thing = TypeVar("_Thing")


def blocks(tx: Connection, query: str) -> Iterator[Sequence[Row]]:
    """Read plain rows in blocks; the database keeps what was not asked for yet."""
    if tx.dialect.name == "sqlite":
        # It reads in this very process: there is nobody to work meanwhile.
        statement = text(query).execution_options(stream_results=True, yield_per=BLOCK)
        yield from tx.execute(statement).partitions(BLOCK)
        return
    for large in ahead(_from_server(tx, query, _AT_ONCE * BLOCK)):
        for start in range(0, len(large), BLOCK):
            yield large[start : start + BLOCK]


def _from_server(tx: Connection, query: str, size: int) -> Iterator[Sequence[Row]]:
    """Read by the driver's own cursor: what SQLAlchemy makes of a row costs a fifth of a check."""
    driver = tx.connection.driver_connection
    assert driver is not None, "connected"
    # Some of them are open at once, and each has a name in the transaction.
    with driver.cursor(name=f"blocks_{next(_cursors)}") as cursor:
        cursor.execute(query)
        while found := cursor.fetchmany(size):
            yield found


def ahead(found: Iterator[_Thing]) -> Generator[_Thing]:
    """Hand on what is read, and let a thread read some more while that is worked on.

    A server would otherwise wait for the reader, and the reader for the server, in turn.
    """
    read: Queue[_Thing | BaseException | None] = Queue(_AHEAD)
    is_over = threading.Event()
    reader = threading.Thread(target=_read, args=(found, read, is_over), daemon=True)
    reader.start()
    try:
        while (one := read.get()) is not None:
            if isinstance(one, BaseException):
                raise one
            yield one
    finally:
        # Whoever stops early takes the connection back, so nobody may be reading from it.
        is_over.set()
        while reader.is_alive():
            with suppress(Empty):
                read.get(timeout=0.01)
        reader.join()


def _read(
    found: Iterator[_Thing], read: "Queue[_Thing | BaseException | None]", is_over: threading.Event
) -> None:
    try:
        for one in found:
            read.put(one)
            if is_over.is_set():
                return
        read.put(None)
    except BaseException as error:  # noqa: BLE001 - told to whoever reads
        read.put(error)


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
