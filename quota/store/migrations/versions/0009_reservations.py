"""What scholars have reserved ahead, and for which reservation a session has to make room."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_OPEN = sa.text("state = 'open'")


def upgrade() -> None:
    op.create_table(
        "reservations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", _row_id(), nullable=False),
        sa.Column("flavor", sa.String(64), nullable=False),
        sa.Column("gpu_uuid", sa.String(64), nullable=False),
        sa.Column("share_mgpu", sa.Integer(), nullable=False),
        sa.Column("memory_mib", sa.Integer(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("begun_at", sa.BigInteger()),
        sa.Column("closed_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_reservations_account_id_accounts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reservations")),
    )
    op.create_index("ix_reservations_starts_at", "reservations", ["starts_at", "id"])
    op.create_index("ix_reservations_account_id", "reservations", ["account_id"])
    op.create_index(
        "ix_reservations_open",
        "reservations",
        ["ends_at"],
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
    op.add_column("leases", sa.Column("yields_to", sa.Uuid()))


def _row_id() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def downgrade() -> None:
    op.drop_column("leases", "yields_to")
    op.drop_table("reservations")
