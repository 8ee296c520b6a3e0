"""Giving up on a PostgreSQL that does not answer: a frozen server must not freeze the service.

The server's own time-outs do not help when the server itself stands still, and the socket stays
open, so the client counts. A connection that was given up on is closed: what it would still
answer belongs to nobody.
"""

import select
import time
from typing import Any

import psycopg
from psycopg import errors, pq
from psycopg.abc import PQGen
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import InvalidatePoolError

PATIENCE_S = 5.0
# A connection that rested for longer is asked whether it is alive before it is handed out:
# firewalls forget a silent one after minutes. Opening a new one takes its turn after that, and
# both together should stay within PATIENCE_S.
_ASK_AFTER_S = 15.0
_PING_PATIENCE_S = 2.0


class ImpatientConnection(psycopg.Connection[Any]):
    """A connection whose every answer is waited for at most `patience_s`; None waits for ever."""

    patience_s: float | None = PATIENCE_S
    rested_since_s: float | None = None

    @property
    def is_idle(self) -> bool:
        """Tell whether no transaction is open."""
        return self.pgconn.transaction_status == pq.TransactionStatus.IDLE

    def answers(self) -> bool:
        """Tell whether the server is there still, as far as one can see without asking it much.

        A server that ended or threw us out has closed its end, so there is something to read. Only
        one that has long been silent is asked: a firewall may have forgotten it meanwhile.
        """
        if self.rested_since_s is None:
            return True
        if self.closed or _has_something_to_read(self.fileno()):
            return False
        if time.monotonic() - self.rested_since_s < _ASK_AFTER_S:
            return True
        self.patience_s = _PING_PATIENCE_S
        try:
            self.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

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


def make_impatient(engine: Engine, kind: type[ImpatientConnection]) -> None:
    """Let all connections of an engine be impatient ones, and none that is dead be handed out."""

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, args: Any, how: Any) -> ImpatientConnection:
        return kind.connect(*args, **how)

    @event.listens_for(engine, "checkout")
    def work(connection: ImpatientConnection, _record: Any, _proxy: Any) -> None:
        if not connection.answers():
            raise InvalidatePoolError
        connection.patience_s = PATIENCE_S

    @event.listens_for(engine, "checkin")
    def rest(connection: ImpatientConnection | None, _record: Any) -> None:
        if connection is None:
            return
        if not connection.is_idle:
            # Whoever had it did not end the transaction; no lock may rest in the pool.
            connection.close()
        connection.rested_since_s = time.monotonic()


def _has_something_to_read(socket: int) -> bool:
    look = select.poll()
    look.register(socket, select.POLLIN | select.POLLHUP | select.POLLERR)
    return bool(look.poll(0))


def be_patient(tx: Connection) -> None:
    """Allow one transaction all the time it needs: migrations, and checks of big books."""
    if tx.dialect.name == "postgresql":
        tx.execute(text("SET LOCAL statement_timeout = 0"))
        connection = tx.connection.dbapi_connection
        assert isinstance(connection, ImpatientConnection)
        connection.patience_s = None
