"""What agencies said against proposals, the proposals that are over, and the documents that the log activates."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Three new tables."""
    op.create_table(
        "dissents",
        sa.Column("digest", sa.LargeBinary(length=32), primary_key=True, comment="Of a proposal that waits."),
        sa.Column("agency", sa.String(length=16), primary_key=True),
        sa.Column("reason", sa.String(length=16), nullable=False),
    )
    over = "Of a proposal that can never take effect any more."
    op.create_table(
        "ended",
        sa.Column("digest", sa.LargeBinary(length=32), primary_key=True, comment=over),
        sa.Column("ended_at", sa.BigInteger, nullable=False, index=True),
        sa.Column("dissents", sa.LargeBinary, nullable=False, comment="What ended it, as the hub's chain says it."),
    )
    activated = "Of a document that the hub's chain puts into force."
    op.create_table(
        "activations",
        sa.Column("digest", sa.LargeBinary(length=32), primary_key=True, comment=activated),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("log_index", sa.BigInteger, nullable=False),
        sa.Column("appended_at", sa.BigInteger, nullable=False),
    )
