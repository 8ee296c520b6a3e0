"""The tables of emergencies; see `quota.store.tables` for all others."""

from sqlalchemy import Column, ForeignKey, Index, String, Table, Text, Uuid

from quota.store.metadata import metadata
from quota.store.types import Instant

# When GPU sessions started without the books, as the hub told it afterwards.
emergencies = Table(
    "emergencies",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("hub_id", String(64), nullable=False),
    Column("opened_by", String(255), nullable=False),
    Column("reason", Text, nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Column("closed_by", String(255), nullable=False),
    Column("closed_at", Instant),
    Index("ix_emergencies_opened_at", "hub_id", "opened_at"),
)

# What was started then. Its lease may not be there yet, or never: only where there is room.
emergency_starts = Table(
    "emergency_starts",
    metadata,
    Column("lease_id", Uuid, primary_key=True),
    Column("emergency_id", Uuid, ForeignKey("emergencies.id"), nullable=False),
    Column("account", String(255), nullable=False),
    Column("server_name", String(255), nullable=False),
    Column("flavor", String(64), nullable=False),
    Column("gpu_uuid", String(128), nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("ends_at", Instant, nullable=False),
    Index("ix_emergency_starts_emergency_id", "emergency_id"),
)
