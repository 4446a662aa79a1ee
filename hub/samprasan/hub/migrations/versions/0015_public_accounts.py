"""Whether an account was opened by a public id: no admission by pseudonym is to it then, and the other way round."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """A column; the ids that the hub knows say what stands in it.  Documents are found by kind and version."""
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
    public = "SELECT account_id FROM subjects WHERE key_epoch = 0"
    op.execute(f"UPDATE accounts SET is_public = true WHERE account_id IN ({public})")  # noqa: S608
