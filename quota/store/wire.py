"""A connection to PostgreSQL that sends several statements at once, and lets writes wait for that.

What is given for later, `BEGIN` the first of it, goes with the next question or with `COMMIT`, in
one packet, and all answers are waited for once (pipeline mode of libpq). Whatever else runs on the
connection sends it first, so that the order is kept; what is rolled back is forgotten.

The driver has a pipeline mode of its own, which sends and waits a little with each statement; that
costs more than the database needs to run it.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Self, TypeAlias
from uuid import UUID

import psycopg
from psycopg import errors, generators, pq
from psycopg.abc import Params, PQGen, Query
from psycopg.adapt import Transformer

from quota.store.patience import ImpatientConnection

Call = tuple[str, Sequence[Any]]
"""SQL with $1, $2 and so on, and what stands there: text, whole numbers, bytes, ids, nothing."""

_OnWire: TypeAlias = tuple[bytes | None, pq.Format]

# So many answers are waited for at once: within the patience even on a busy machine.
_AT_ONCE = 200
_FAILED = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.PIPELINE_ABORTED)


class Answer:
    """What the database said to one statement."""

    __slots__ = ("_connection", "_result")

    def __init__(self, connection: "BooksConnection", result: pq.abc.PGresult) -> None:
        self._connection = connection
        self._result = result

    @property
    def rowcount(self) -> int:
        """How many rows were found or changed."""
        return self._result.command_tuples or 0

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return the rows that were found."""
        if self._result.ntuples == 0:
            return []
        reader = Transformer(self._connection)
        reader.set_pgresult(self._result)
        return reader.load_rows(0, self._result.ntuples, tuple)


class BooksConnection(ImpatientConnection):
    """One connection of the pool; it is in autocommit, and `BEGIN` is ours."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.cursor_factory = _Cursor
        self.server_cursor_factory = _StreamingCursor
        self._waiting: list[Call] = []
        self._prepared_as: dict[str, bytes] = {}
        self._names_used = 0
        self._has_failed = False

    def later(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Send this with whatever is sent next."""
        self._waiting.append((sql, values))
        if len(self._waiting) >= _AT_ONCE:
            self.flush()

    def together(self, calls: Sequence[Call]) -> list[Answer]:
        """Send what waits and these at once, and wait for all answers."""
        waiting, self._waiting = self._waiting, []
        # Each would be committed alone otherwise, silently.
        assert waiting or not self.is_idle, "no BEGIN"
        results = self._exchange([*waiting, *calls])
        return [Answer(self, one) for one in results[len(waiting) :]]

    def flush(self) -> None:
        """Send what waits."""
        if self._waiting:
            self.together(())

    def commit(self) -> None:
        """Send what waits and the commit at once; a `BEGIN` alone was for nothing."""
        if not self.is_idle or any(not sql.startswith("BEGIN") for sql, _ in self._waiting):
            try:
                self.together((("COMMIT", ()),))
            except psycopg.Error:
                # Where a write failed the commit did not happen, and locks must not outlast it.
                if not self.closed:
                    self.rollback()
                raise
        self._waiting = []

    def rollback(self) -> None:
        """Forget what waits, and take back what was sent."""
        self._waiting = []
        if not self.is_idle:
            super().rollback()

    # -- inside ----------------------------------------------------------------------------

    def _exchange(self, calls: Sequence[Call]) -> list[pq.abc.PGresult]:
        # Before anything is sent: what cannot be written leaves the connection as it is.
        ready = [(sql, [_on_wire(one) for one in values]) for sql, values in calls]
        with self.lock:
            self._check_connection_ok()
            self._forget_after_failure()
            self.pgconn.enter_pipeline_mode()
            try:
                is_answer = [which for sql, values in ready for which in self._put(sql, values)]
                self.pgconn.pipeline_sync()
                results = self.wait(_all_answers(self.pgconn, len(is_answer)))
            finally:
                self._leave_pipeline()
        for result in results:
            if result.status in _FAILED:
                self._has_failed = True
                raise errors.error_from_result(result)
        return [one for one, is_one in zip(results, is_answer, strict=True) if is_one]

    def _put(self, sql: str, values: Sequence[_OnWire]) -> list[bool]:
        """Put a statement into the packet, prepared; tell which answers to it are of interest."""
        if not values:
            self.pgconn.send_query_params(sql.encode(), None)
            return [True]
        is_answer = [True]
        name = self._prepared_as.get(sql)
        if name is None:
            self._names_used += 1
            name = self._prepared_as[sql] = b"books_%d" % self._names_used
            self.pgconn.send_prepare(name, sql.encode())
            is_answer = [False, True]
        self.pgconn.send_query_prepared(
            name, [value for value, _ in values], [how for _, how in values]
        )
        return is_answer

    def _forget_after_failure(self) -> None:
        """Prepare anew: what came after a failure never was, and a table may have a new shape."""
        if self._has_failed and self.is_idle:
            self._has_failed, self._prepared_as = False, {}
            self.pgconn.send_query(b"DEALLOCATE ALL")
            self.wait(generators.execute(self.pgconn))

    def _leave_pipeline(self) -> None:
        if self.pgconn.status != pq.ConnStatus.OK:
            return
        try:
            self.pgconn.exit_pipeline_mode()
        except psycopg.OperationalError:
            # Interrupted half way: what it would still answer belongs to nobody.
            self.pgconn.finish()


class _Cursor(psycopg.Cursor[Any]):
    """A cursor of the driver, before which everything goes that waits."""

    def execute(self, query: Query, params: Params | None = None, **how: Any) -> Self:
        _flush(self.connection)
        return super().execute(query, params, **how)  # type: ignore[arg-type]  # also templates

    def executemany(
        self, query: Query, params_seq: Iterable[Params], *, returning: bool = False
    ) -> None:
        _flush(self.connection)
        super().executemany(query, params_seq, returning=returning)


class _StreamingCursor(psycopg.ServerCursor[Any]):
    """The same for what is read in blocks, which wants an open transaction.

    Rows come as the database has them: writing five million of them as text and reading that takes
    longer than checking them.
    """

    def execute(self, query: Query, params: Params | None = None, **how: Any) -> Self:
        _flush(self.connection)
        return super().execute(query, params, **{"binary": True, **how})


def _flush(connection: psycopg.Connection[Any]) -> None:
    assert isinstance(connection, BooksConnection)
    connection.flush()


def _all_answers(pgconn: pq.abc.PGconn, count: int) -> PQGen[list[pq.abc.PGresult]]:
    """Send, and read one answer to each statement and the one to the end of the packet."""
    yield from generators.send(pgconn)
    found = []
    for _ in range(count + 1):
        found += yield from generators.fetch_many(pgconn)
    return found[:-1]


def _on_wire(value: str | int | bytes | UUID | None) -> _OnWire:
    if value is None:
        return None, pq.Format.TEXT
    if type(value) is bytes:
        return value, pq.Format.BINARY
    if isinstance(value, UUID):
        return value.hex.encode(), pq.Format.TEXT
    text = str(value).encode()
    if b"\0" in text:
        # As the driver says it; the library would cut the text there.
        raise psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
    return text, pq.Format.TEXT
