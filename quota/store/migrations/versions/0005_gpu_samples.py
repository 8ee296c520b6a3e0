"""What sessions do with their GPUs, and how each GPU is shared."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "session_states",
        sa.Column("lease_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("warned_at", sa.BigInteger()),
        sa.Column("kept_until", sa.BigInteger()),
        sa.ForeignKeyConstraint(
            ["lease_id"], ["leases.id"], name=op.f("fk_session_states_lease_id_leases")
        ),
        sa.PrimaryKeyConstraint("lease_id", name=op.f("pk_session_states")),
    )
    op.add_column(
        "gpus", sa.Column("sharing", sa.String(16), nullable=False, server_default="plain")
    )
    op.add_column(
        "gpus", sa.Column("holds_memory", sa.Boolean(), nullable=False, server_default=sa.false())
    )


def downgrade() -> None:
    op.drop_column("gpus", "holds_memory")
    op.drop_column("gpus", "sharing")
    op.drop_table("session_states")
