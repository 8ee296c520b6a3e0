"""The tables of what goes out to people's channels; see `quota.store.tables` for all others."""

from sqlalchemy import Column, Index, Integer, String, Table, Text, UniqueConstraint, Uuid, text

from quota.store.metadata import metadata
from quota.store.types import Instant

_WAITS = text("state = 'waiting'")

# One message for one channel. `person` is empty where a room is told; `occasion` names what
# happened, so that nobody is told twice.
outbox = Table(
    "outbox",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("hub_id", String(64), nullable=False),
    Column("occasion", String(255), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("channel", String(64), nullable=False),
    Column("person", String(255), nullable=False),
    Column("text", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("stale_at", Instant, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_try_at", Instant, nullable=False),
    Column("done_at", Instant),
    UniqueConstraint("hub_id", "occasion", "channel", "person"),
    Index("ix_outbox_waiting", "hub_id", "next_try_at", sqlite_where=_WAITS,
          postgresql_where=_WAITS),
    Index("ix_outbox_done_at", "done_at"),
)  # fmt: skip

# What somebody wants to hear of where: channel names between spaces, none for nowhere.
notice_choices = Table(
    "notice_choices",
    metadata,
    Column("hub_id", String(64), primary_key=True),
    Column("person", String(255), primary_key=True),
    Column("kind", String(32), primary_key=True),
    Column("channels", Text, nullable=False),
    Index("ix_notice_choices_kind", "hub_id", "kind"),
)
