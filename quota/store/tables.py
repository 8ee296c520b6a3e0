"""The tables of the books. Amounts and instants are integers; keys carry a hub id.

`entries` is the ledger: it only grows, and each account's entries form a hash chain. What
`accounts` and `lots` say of amounts is derived from it, materialized because a sum over a big
ledger is slow; `quota.invariants` recomputes it. See docs/decisions/0001-books.md.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    false,
    text,
)

from quota.store.metadata import RowId
from quota.store.metadata import metadata as metadata  # noqa: PLC0414 - given on
from quota.store.tables_help import help_requests as help_requests  # noqa: PLC0414 - and this
from quota.store.tables_labs import labs_passed as labs_passed  # noqa: PLC0414 - and this
from quota.store.tables_outbox import notice_choices as notice_choices  # noqa: PLC0414 - too
from quota.store.tables_outbox import outbox as outbox  # noqa: PLC0414 - too
from quota.store.tables_sessions import session_states as session_states  # noqa: PLC0414 - too
from quota.store.types import Amount, Instant


def _where(condition: str) -> dict[str, Any]:
    """Index only the rows of a condition, on either database."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


accounts = Table(
    "accounts",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("hub_id", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("name", String(255), nullable=False),
    Column("posted", Amount, nullable=False),
    Column("held", Amount, nullable=False),
    Column("debt", Amount, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("head", LargeBinary(32), nullable=False),
    Column("allowance_from", Instant),
    UniqueConstraint("hub_id", "kind", "name"),
    CheckConstraint("held >= 0", name="held_not_negative"),
    CheckConstraint("debt >= 0", name="debt_not_negative"),
)

lots = Table(
    "lots",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("account_id", RowId, ForeignKey("accounts.id"), nullable=False),
    Column("source", String(16), nullable=False),
    Column("amount", Amount, nullable=False),
    Column("remaining", Amount, nullable=False),
    Column("starts_at", Instant, nullable=False),
    Column("ends_at", Instant, nullable=False),
    Column("author", String(255), nullable=False),
    Column("reason", Text, nullable=False),
    Column("closed_at", Instant),
    CheckConstraint("remaining >= 0", name="remaining_not_negative"),
    CheckConstraint("ends_at > starts_at", name="lot_has_a_length"),
    Index("ix_lots_account_id_ends_at", "account_id", "ends_at"),
    Index("ix_lots_open", "account_id", **_where("closed_at IS NULL")),
)

entries = Table(
    "entries",
    metadata,
    Column("account_id", RowId, ForeignKey("accounts.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("transfer_id", Uuid, nullable=False),
    Column("part", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("posted", Amount, nullable=False),
    Column("held", Amount, nullable=False),
    Column("lot_id", Uuid),
    Column("lease_id", Uuid),
    Column("from_at", Instant),
    Column("until_at", Instant),
    Column("author", String(255), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    UniqueConstraint("transfer_id", "part"),
    Index("ix_entries_lease_id", "lease_id"),
    # Usage of a week is asked for by many accounts at once; a sum over the ledger would be slow.
    Index("ix_entries_charges", "account_id", "from_at", **_where("kind = 'charge'")),
)

leases = Table(
    "leases",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("account_id", RowId, ForeignKey("accounts.id"), nullable=False),
    Column("server_name", String(255), nullable=False),
    Column("flavor", String(64), nullable=False),
    Column("image", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("weight_mgpu", Integer, nullable=False),
    Column("share_mgpu", Integer, nullable=False),
    Column("memory_mib", Integer, nullable=False),
    Column("gpu_uuid", String(96)),
    Column("hold", Amount, nullable=False),
    Column("requested_at", Instant, nullable=False),
    Column("asked_at", Instant, nullable=False),
    Column("offered_at", Instant),
    Column("held_at", Instant),
    Column("ref", String(128)),
    Column("started_at", Instant),
    Column("observed_until", Instant),
    Column("charged_until", Instant),
    Column("ended_at", Instant),
    Column("stop_reason", String(32)),
    Column("stop_asked_at", Instant),
    Column("end_reason", String(32)),
    Column("paid_until", Instant),
    Column("warned_min", Integer),
    Column("used_permille", Integer),
    Column("yields_at", Instant),
    Index(
        "uq_leases_open_server",
        "account_id",
        "server_name",
        unique=True,
        **_where("state <> 'ended'"),
    ),
    Index("ix_leases_open_state", "state", **_where("state <> 'ended'")),
    # How long sessions lasted lately is asked for wherever somebody waits.
    Index("ix_leases_ended_at", "ended_at", **_where("state = 'ended' AND share_mgpu > 0")),
    CheckConstraint("hold >= 0", name="hold_not_negative"),
)

gpus = Table(
    "gpus",
    metadata,
    Column("uuid", String(96), primary_key=True),
    Column("hub_id", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("memory_mib", Integer, nullable=False),
    Column("in_service", Boolean, nullable=False),
    Column("used_mgpu", Integer, nullable=False),
    Column("used_mib", Integer, nullable=False),
    Column("sharers", Integer, nullable=False),
    Column("sharing", String(16), nullable=False, server_default="plain"),
    Column("holds_memory", Boolean, nullable=False, server_default=false()),
    Column("lost_at", Instant),
    CheckConstraint("used_mgpu BETWEEN 0 AND 1000", name="share_fits"),
    CheckConstraint("used_mib >= 0 AND sharers >= 0", name="use_not_negative"),
)

notices = Table(
    "notices",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("account_id", RowId, ForeignKey("accounts.id"), nullable=False),
    Column("lease_id", Uuid),
    Column("kind", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Index("ix_notices_account_id_at", "account_id", "at"),
)

# Totals that only the worker writes, so that a scrape never sums the ledger.
counters = Table(
    "counters",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("label", String(64), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("number", RowId, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("entries", BigInteger, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
)

# Where each account's chain stood at a checkpoint; written only for accounts that have moved on
# since the one before, so that it grows with the ledger and not with time.
checkpoint_heads = Table(
    "checkpoint_heads",
    metadata,
    Column("number", RowId, ForeignKey("checkpoints.number"), primary_key=True),
    Column("account_id", RowId, ForeignKey("accounts.id"), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("head", LargeBinary(32), nullable=False),
)
# What was done by whom: the second chain. It only grows, like the ledger.
audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("hub_id", String(64), nullable=False),
    Column("actor", String(255), nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("reason", Text, nullable=False),
    Column("before", Text),
    Column("after", Text),
    Column("request_id", String(64), nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    Index("ix_audit_subject", "subject", "seq"),
)

# One row: whoever adds to the trail locks it, so that the chain has no forks and no gaps.
audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("head", LargeBinary(32), nullable=False),
)

hour_requests = Table(
    "hour_requests",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("account_id", RowId, ForeignKey("accounts.id"), nullable=False),
    Column("hours", Amount, nullable=False),
    Column("reason", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("asked_at", Instant, nullable=False),
    Column("stale_at", Instant, nullable=False),
    Column("decided_at", Instant),
    Column("decided_by", String(255)),
    Column("granted", Amount),
    Column("answer", Text, nullable=False),
    Index("ix_hour_requests_account_id", "account_id", "asked_at"),
    Index("ix_hour_requests_open", "asked_at", **_where("state = 'open'")),
)

# Rules that were changed while the lab runs; each stands above what lab.yaml says.
amendments = Table(
    "amendments",
    metadata,
    Column("hub_id", String(64), primary_key=True),
    Column("part", String(32), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("body", Text),
    Column("version", BigInteger, nullable=False),
)

attachments = Table(
    "attachments",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("account_id", RowId, ForeignKey("accounts.id"), nullable=False),
    Column("lease_id", Uuid, ForeignKey("leases.id"), nullable=False),
    Column("ta", String(255), nullable=False),
    Column("mode", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("end_reason", String(32)),
    Column("help_request_id", Uuid),
    # When the hub was seen to share the session with the TA no more.
    Column("unshared_at", Instant),
    Index("ix_attachments_shared", "started_at", **_where("unshared_at IS NULL")),
    Index("ix_attachments_account_id", "account_id", "started_at"),
    Index("uq_attachments_open", "account_id", unique=True, **_where("ended_at IS NULL")),
)

# A calendar address; of its secret only the hash is kept.
feeds = Table(
    "feeds",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("hub_id", String(64), nullable=False),
    Column("owner", String(255), nullable=False),
    Column("section", String(64), nullable=False),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("made_at", Instant, nullable=False),
    Column("revoked_at", Instant),
    Index("ix_feeds_owner", "hub_id", "owner"),
)
