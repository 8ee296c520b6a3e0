"""What each checkpoint saw of each account, so that a cut tail or a rebuilt chain has a name."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    row_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "checkpoint_heads",
        sa.Column("number", row_id, nullable=False),
        sa.Column("account_id", row_id, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["number"],
            ["checkpoints.number"],
            name=op.f("fk_checkpoint_heads_number_checkpoints"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("fk_checkpoint_heads_account_id_accounts"),
        ),
        sa.PrimaryKeyConstraint("number", "account_id", name=op.f("pk_checkpoint_heads")),
    )


def downgrade() -> None:
    op.drop_table("checkpoint_heads")
