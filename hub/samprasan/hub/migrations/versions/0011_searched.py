"""What a recovering hub has looked for in vain, so that it does not look for it again every few seconds."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_SEARCHED = "For these entries and checkpoints the places of lost receipts were looked for in vain."


def upgrade() -> None:
    """One column."""
    op.add_column("recovery", sa.Column("searched", sa.Text(), nullable=False, server_default="", comment=_SEARCHED))
