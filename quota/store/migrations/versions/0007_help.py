"""Help: raised hands, whom scholars let in, and shares that the hub has still to take back."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_OPEN = sa.text("state IN ('waiting', 'claimed')")
_SHARED = sa.text("unshared_at IS NULL")


def upgrade() -> None:
    _help_requests()
    op.create_table(
        "attach_consents",
        sa.Column("account_id", _row_id(), nullable=False),
        sa.Column("choice", sa.String(16), nullable=False),
        sa.Column("chosen_at", sa.BigInteger(), nullable=False),
        _reference("attach_consents", "account_id", "accounts"),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_attach_consents")),
    )
    op.create_table(
        "open_sessions",
        sa.Column("lease_id", sa.Uuid(), nullable=False),
        sa.Column("no_observing", sa.Text(), nullable=False),
        _reference("open_sessions", "lease_id", "leases"),
        sa.PrimaryKeyConstraint("lease_id", name=op.f("pk_open_sessions")),
    )
    op.add_column("attachments", sa.Column("help_request_id", sa.Uuid()))
    op.add_column("attachments", sa.Column("unshared_at", sa.BigInteger()))
    # Before this version the hub shared nothing.
    op.execute("UPDATE attachments SET unshared_at = ended_at")
    op.create_index(
        "ix_attachments_shared",
        "attachments",
        ["started_at"],
        sqlite_where=_SHARED,
        postgresql_where=_SHARED,
    )


def _help_requests() -> None:
    op.create_table(
        "help_requests",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", _row_id(), nullable=False),
        sa.Column("server_name", sa.String(255), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("raised_at", sa.BigInteger(), nullable=False),
        sa.Column("claimed_by", sa.String(255)),
        sa.Column("claimed_at", sa.BigInteger()),
        sa.Column("closed_by", sa.String(255)),
        sa.Column("closed_at", sa.BigInteger()),
        sa.Column("answer", sa.Text(), nullable=False),
        _reference("help_requests", "account_id", "accounts"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_help_requests")),
    )
    op.create_index("ix_help_requests_raised_at", "help_requests", ["raised_at", "id"])
    op.create_index(
        "uq_help_requests_open",
        "help_requests",
        ["account_id"],
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )


def _reference(table: str, column: str, other: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}_{other}")
    return sa.ForeignKeyConstraint([column], [f"{other}.id"], name=name)


def _row_id() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def downgrade() -> None:
    op.drop_index("ix_attachments_shared", table_name="attachments")
    op.drop_column("attachments", "unshared_at")
    op.drop_column("attachments", "help_request_id")
    op.drop_table("open_sessions")
    op.drop_table("attach_consents")
    op.drop_table("help_requests")
