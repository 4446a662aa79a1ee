"""Documents of one integrator have versions of their own."""

from alembic import op

revision = "0009"
down_revision = "0008"

_SERIES = "Of which these are versions: an agency's, an integrator's; empty: of one."


def upgrade() -> None:
    """Another name for the column: it names no owner any more."""
    op.execute("ALTER TABLE documents RENAME COLUMN owner TO series")
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("documents", "series", comment=_SERIES)
