"""Corrections: which update corrected an award, and what an agency's corrections could not recover."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """The table of corrections, and what they wrote off."""
    op.create_table(
        "corrections",
        sa.Column("agency", sa.String(length=16), nullable=False),
        sa.Column("award_op_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column(
            "op_id",
            sa.LargeBinary(length=16),
            nullable=False,
            comment="The update that replaced or reversed the award.",
        ),
        sa.PrimaryKeyConstraint("agency", "award_op_id"),
    )
    op.add_column("agencies", sa.Column("written_off", sa.BigInteger(), nullable=False, server_default="0"))
