"""What agencies said against proposals, and the proposals that are over."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Two new tables."""
    op.create_table(
        "dissents",
        sa.Column("digest", sa.LargeBinary(length=32), primary_key=True, comment="Of the proposal."),
        sa.Column("agency", sa.String(length=16), primary_key=True),
        sa.Column("envelope", sa.LargeBinary, nullable=False, comment="Signed by the agency."),
    )
    over = "Of a proposal that can never take effect any more."
    unknown = "Empty if it is not known any more."
    op.create_table(
        "withdrawn",
        sa.Column("digest", sa.LargeBinary(length=32), primary_key=True, comment=over),
        sa.Column("ended_at", sa.BigInteger, nullable=False),
        sa.Column("proposed_by", sa.String(length=16), nullable=False, comment=unknown),
        sa.Column("taken_back", sa.Boolean, nullable=False, comment="By its proposer; else it was declined."),
    )
