"""The hub's own chain, and what people decide about awards whose deed is lost."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Tables; the hub's chain comes with the next hello."""
    op.create_table(
        "hub_entries",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False, comment="In the hub's own chain."),
        sa.Column("log_index", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False, comment="Batch, receipt, and the documents it activates."),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("log_index"),
    )
    op.create_table(
        "decisions",
        sa.Column("award_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="An award without a deed."),
        sa.Column("keep", sa.Boolean(), nullable=False, comment="Else it is to be taken back."),
        sa.Column("maker", sa.String(length=100), nullable=False),
        sa.Column("checker", sa.String(length=100), comment="Somebody else, who agreed."),
        sa.PrimaryKeyConstraint("award_id"),
    )
