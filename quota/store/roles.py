"""Rights at PostgreSQL for a service that does not own its tables: history can only grow.

The role that migrates owns the tables and their guards. The role that service and worker use reads
and writes, but may neither change nor remove an entry of the ledger or a line of the trail, nor
take the guards off that forbid it.
"""

from sqlalchemy import Engine, text

from quota.store.engine import transaction
from quota.store.tables import audit, entries, metadata

GROWING = (entries.name, audit.name)


def let_in(engine: Engine, role: str) -> None:
    """Give a role exactly the rights that service and worker need; the owner does that.

    Needed again after a migration or a restored backup, which bring tables without rights.

    Raises:
        ValueError: there is no such role. SQLite has none: who may open the file may do all.

    """
    if engine.dialect.name != "postgresql":
        raise ValueError("SQLite has no roles")
    quote = engine.dialect.identifier_preparer.quote_identifier
    name = quote(role)
    with transaction(engine) as tx:
        known = text("SELECT 1 FROM pg_roles WHERE rolname = :role")
        if tx.execute(known, {"role": role}).first() is None:
            raise ValueError(f"the database has no role {role!r}")
        for table in (*metadata.tables, "alembic_version"):
            rights = "SELECT, INSERT, UPDATE, DELETE"
            if table in GROWING:
                rights = "SELECT, INSERT"
            elif table == "alembic_version":
                rights = "SELECT"
            tx.execute(text(f"REVOKE ALL ON {quote(table)} FROM {name}"))
            tx.execute(text(f"GRANT {rights} ON {quote(table)} TO {name}"))
        tx.execute(text(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {name}"))
