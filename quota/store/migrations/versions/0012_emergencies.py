"""Emergencies, in which GPU sessions start without the books, and what was started in them."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "emergencies",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("hub_id", sa.String(64), nullable=False),
        sa.Column("opened_by", sa.String(255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("closed_by", sa.String(255), nullable=False),
        sa.Column("closed_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_emergencies")),
    )
    op.create_index("ix_emergencies_opened_at", "emergencies", ["hub_id", "opened_at"])
    op.create_table(
        "emergency_starts",
        sa.Column("lease_id", sa.Uuid(), nullable=False),
        sa.Column("emergency_id", sa.Uuid(), nullable=False),
        sa.Column("account", sa.String(255), nullable=False),
        sa.Column("server_name", sa.String(255), nullable=False),
        sa.Column("flavor", sa.String(64), nullable=False),
        sa.Column("gpu_uuid", sa.String(128), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("lease_id", name=op.f("pk_emergency_starts")),
        sa.ForeignKeyConstraint(
            ["emergency_id"],
            ["emergencies.id"],
            name=op.f("fk_emergency_starts_emergency_id_emergencies"),
        ),
    )
    op.create_index("ix_emergency_starts_emergency_id", "emergency_starts", ["emergency_id"])


def downgrade() -> None:
    op.drop_table("emergency_starts")
    op.drop_table("emergencies")
