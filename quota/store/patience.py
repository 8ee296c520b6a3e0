"""Giving up on a PostgreSQL that does not answer: a frozen server must not freeze the service.

The server's own time-outs do not help when the server itself stands still, and the socket stays
open, so the client counts. A connection that was given up on is closed: what it would still
answer belongs to nobody.
"""

from typing import Any

import psycopg
from psycopg import errors
from psycopg.abc import PQGen
from sqlalchemy import Connection, Engine, event, text

PATIENCE_S = 5.0
# The pool asks each connection whether it is alive before it hands it out; opening a new one takes
# its turn after that, and both together should stay within PATIENCE_S.
_PING_PATIENCE_S = 2.0


class ImpatientConnection(psycopg.Connection[Any]):
    """A connection whose every answer is waited for at most `patience_s`; None waits for ever."""

    patience_s: float | None = PATIENCE_S

    def wait(self, gen: PQGen[Any], interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for an answer, or close the connection and say that it did not come."""
        if timeout is not None or self.patience_s is None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.patience_s)
        except errors._WaitTimeout:  # noqa: SLF001  # the driver has no public name for it
            self.pgconn.finish()
            message = f"the database did not answer within {self.patience_s:g} s"
            raise psycopg.OperationalError(message) from None


def make_impatient(engine: Engine) -> None:
    """Let all connections of an engine be impatient ones."""

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, args: Any, how: Any) -> ImpatientConnection:
        return ImpatientConnection.connect(*args, **how)

    @event.listens_for(engine, "checkout")
    def work(connection: ImpatientConnection, _record: Any, _proxy: Any) -> None:
        connection.patience_s = PATIENCE_S

    @event.listens_for(engine, "checkin")
    def rest(connection: ImpatientConnection | None, _record: Any) -> None:
        if connection is not None:
            connection.patience_s = _PING_PATIENCE_S


def be_patient(tx: Connection) -> None:
    """Allow one transaction all the time it needs: migrations, and checks of big books."""
    if tx.dialect.name == "postgresql":
        tx.execute(text("SET LOCAL statement_timeout = 0"))
        connection = tx.connection.dbapi_connection
        assert isinstance(connection, ImpatientConnection)
        connection.patience_s = None
