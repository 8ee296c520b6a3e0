"""How busy sessions keep their GPUs: the last look, and the minutes before it."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("session_states", sa.Column("seen_at", sa.BigInteger()))
    op.add_column("session_states", sa.Column("busy_percent", sa.Integer()))
    op.add_column("session_states", sa.Column("held_mib", sa.Integer()))
    op.add_column("session_states", sa.Column("minutes", sa.LargeBinary(length=120)))


def downgrade() -> None:
    for name in ("minutes", "held_mib", "busy_percent", "seen_at"):
        op.drop_column("session_states", name)
