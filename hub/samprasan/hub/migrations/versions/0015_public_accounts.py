"""Whether an account was opened by a public id: no admission by pseudonym is to it then, and the other way round.

The log of an earlier version told of some admissions twice, and they counted: a home that has one cannot be brought up.
"""

import sqlalchemy as sa
from alembic import op
from samprasan.keys.errors import Refused

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """A column, where nothing stands yet; documents are found by kind and version."""
    if op.get_bind().execute(sa.text("SELECT count(*) FROM accounts")).scalar():
        raise Refused("home_of_earlier_version")
    op.create_index("documents_versions", "documents", ["kind", "series", "version"])
    op.add_column(
        "accounts",
        sa.Column(
            "is_public",
            sa.Boolean(),
            nullable=False,
            server_default=sa.false(),
            comment="It was opened by a public id.",
        ),
    )
