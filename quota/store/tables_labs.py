"""The table of labs passed; see `quota.store.tables` for others."""

from sqlalchemy import Column, ForeignKey, String, Table

from quota.store.metadata import RowId, metadata
from quota.store.types import Instant

# Which lab a scholar has passed, and when for the first time; it is no grade and gives no right.
labs_passed = Table(
    "labs_passed",
    metadata,
    Column("account_id", RowId, ForeignKey("accounts.id"), primary_key=True),
    Column("lab", String(32), primary_key=True),
    Column("passed_at", Instant, nullable=False),
)
