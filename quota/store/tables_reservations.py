"""The table of what scholars have reserved ahead; see `quota.store.tables` for the others."""

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table, Uuid, text

from quota.store.metadata import RowId, metadata
from quota.store.types import Instant

_OPEN = text("state = 'open'")

# A share of one GPU that is kept for a scholar in [starts_at, ends_at), and what became of it.
reservations = Table(
    "reservations",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("account_id", RowId, ForeignKey("accounts.id"), nullable=False),
    Column("flavor", String(64), nullable=False),
    Column("gpu_uuid", String(64), nullable=False),
    Column("share_mgpu", Integer, nullable=False),
    Column("memory_mib", Integer, nullable=False),
    Column("starts_at", Instant, nullable=False),
    Column("ends_at", Instant, nullable=False),
    Column("state", String(16), nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("begun_at", Instant),
    Column("closed_at", Instant),
    Index("ix_reservations_starts_at", "starts_at", "id"),
    Index("ix_reservations_account_id", "account_id"),
    # Read at every admission: only what is still to come.
    Index("ix_reservations_open", "ends_at", sqlite_where=_OPEN, postgresql_where=_OPEN),
)
