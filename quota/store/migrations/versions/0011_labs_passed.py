"""Which labs scholars have passed."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    row_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "labs_passed",
        sa.Column("account_id", row_id, nullable=False),
        sa.Column("lab", sa.String(32), nullable=False),
        sa.Column("passed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_labs_passed_account_id_accounts")
        ),
        sa.PrimaryKeyConstraint("account_id", "lab", name=op.f("pk_labs_passed")),
    )


def downgrade() -> None:
    op.drop_table("labs_passed")
