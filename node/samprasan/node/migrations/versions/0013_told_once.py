"""Documents are found by kind and version; admissions that the hub's chain tells of are remembered.

The hub of an earlier version told of some admissions twice: a home that keeps its chain cannot be brought up.
"""

import sqlalchemy as sa
from alembic import op
from samprasan.keys.errors import Refused

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """A table and two indexes."""
    if op.get_bind().execute(sa.text("SELECT count(*) FROM linking_counts")).scalar():
        raise Refused("home_of_earlier_version")
    told_of = "Of an admission that the hub's chain tells of."
    op.create_table(
        "admitted",
        sa.Column("agency", sa.String(length=16), primary_key=True),
        sa.Column("tag", sa.LargeBinary(length=16), primary_key=True, comment=told_of),
    )
    op.create_index("documents_versions", "documents", ["kind", "series", "version"])
    op.create_index("activations_versions", "activations", ["kind", "version"])
