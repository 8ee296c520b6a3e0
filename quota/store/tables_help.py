"""The tables of help: who asked for it, who lets whom in; see `quota.store.tables` for others."""

from sqlalchemy import Column, ForeignKey, Index, String, Table, Text, Uuid, text

from quota.store.metadata import RowId, metadata
from quota.store.types import Instant

_OPEN = text("state IN ('waiting', 'claimed')")

# A raised hand and what became of it; one open for each scholar.
help_requests = Table(
    "help_requests",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("account_id", RowId, ForeignKey("accounts.id"), nullable=False),
    Column("server_name", String(255), nullable=False),
    Column("message", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("raised_at", Instant, nullable=False),
    Column("claimed_by", String(255)),
    Column("claimed_at", Instant),
    Column("closed_by", String(255)),
    Column("closed_at", Instant),
    Column("answer", Text, nullable=False),
    Index("ix_help_requests_raised_at", "raised_at", "id"),
    Index("uq_help_requests_open", "account_id", unique=True, sqlite_where=_OPEN,
          postgresql_where=_OPEN),
)  # fmt: skip

# When a scholar lets TAs in; without a row, always.
attach_consents = Table(
    "attach_consents",
    metadata,
    Column("account_id", RowId, ForeignKey("accounts.id"), primary_key=True),
    Column("choice", String(16), nullable=False),
    Column("chosen_at", Instant, nullable=False),
)

# The sessions that have said that they tell visitors from their scholar; `no_observing` says why
# they cannot hold a visitor to reading, and is empty where they can.
open_sessions = Table(
    "open_sessions",
    metadata,
    Column("lease_id", Uuid, ForeignKey("leases.id"), primary_key=True),
    Column("no_observing", Text, nullable=False),
)
