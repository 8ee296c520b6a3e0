"""What orders the line, when a GPU is reserved for others, and how long sessions lasted."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_LASTED = sa.text("state = 'ended' AND share_mgpu > 0")


def upgrade() -> None:
    op.add_column("leases", sa.Column("used_permille", sa.Integer()))
    op.add_column("leases", sa.Column("yields_at", sa.BigInteger()))
    op.add_column("gpus", sa.Column("lost_at", sa.BigInteger()))
    op.create_index(
        "ix_leases_ended_at",
        "leases",
        ["ended_at"],
        sqlite_where=_LASTED,
        postgresql_where=_LASTED,
    )


def downgrade() -> None:
    op.drop_column("gpus", "lost_at")
    op.drop_index("ix_leases_ended_at", table_name="leases")
    op.drop_column("leases", "yields_at")
    op.drop_column("leases", "used_permille")
