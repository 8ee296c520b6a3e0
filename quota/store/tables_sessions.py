"""The table of what running sessions do; see `quota.store.tables` for all others."""

from sqlalchemy import Column, ForeignKey, Integer, LargeBinary, String, Table, Uuid

from quota.gpu_use import MINUTES_KEPT
from quota.store.metadata import metadata
from quota.store.types import Instant

# What a running session does with its GPU, as the worker saw it, and what was said about that.
session_states = Table(
    "session_states",
    metadata,
    Column("lease_id", Uuid, ForeignKey("leases.id"), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("since", Instant, nullable=False),
    Column("warned_at", Instant),
    Column("kept_until", Instant),
    # How busy it keeps its GPU, at `seen_at` and in the minutes before: a byte for each.
    Column("seen_at", Instant),
    Column("busy_percent", Integer),
    Column("held_mib", Integer),
    Column("minutes", LargeBinary(MINUTES_KEPT)),
)
