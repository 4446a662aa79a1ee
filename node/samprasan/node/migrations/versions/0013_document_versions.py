"""Documents, and what the log says of them, are found by kind and version: there may be thousands."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Two indexes."""
    op.create_index("documents_versions", "documents", ["kind", "series", "version"])
    op.create_index("activations_versions", "activations", ["kind", "version"])
