"""The table of daily counts; see `quota.store.tables` for all others."""

from sqlalchemy import BigInteger, Column, String, Table

from quota.store.metadata import metadata
from quota.store.types import Instant

# What no other row tells afterwards, counted by day in UTC: a report of a week sums it up.
daily_counts = Table(
    "daily_counts",
    metadata,
    Column("hub_id", String(64), primary_key=True),
    Column("day", Instant, primary_key=True),
    Column("name", String(32), primary_key=True),
    Column("label", String(64), primary_key=True),
    Column("count", BigInteger, nullable=False),
)
