"""Who proposed a document: each has an allowance of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """What waits already is nobody's."""
    comment = "Whose allowance it takes while it waits."
    column = sa.Column("proposed_by", sa.String(length=16), nullable=False, server_default="", comment=comment)
    op.add_column("documents", column)
