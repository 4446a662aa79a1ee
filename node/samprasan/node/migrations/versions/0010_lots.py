"""Awards that restore others, and what was spent of those that were taken back."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_RESTORES = "op_id of the award that was taken back and counts again as this one."
_OWED = "Of a correction: credits that were spent before it."
_STATES = "queued, waiting, settled, replaced or declined."


def upgrade() -> None:
    """New columns, in the order of the tables."""
    op.add_column("awards", sa.Column("restores", sa.LargeBinary(length=16), comment=_RESTORES))
    op.add_column("awards", sa.Column("owed", sa.BigInteger(), nullable=False, server_default="0", comment=_OWED))
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("awards", "state", comment=_STATES)
