"""Changes that integrators follow: what each entry changed, who may read it, and how far they have come."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_INTEGRATOR = sa.String(length=16)
_SERIES = "Of which these are versions: an agency's, an integrator's; empty: of one."
_COUNT = """
UPDATE accounts SET shown_by = (
    SELECT count(*) FROM links WHERE links.account_id = accounts.account_id AND (links.purposes & 8) <> 0
)
"""  # 8: the bit of purpose "integrators"


def upgrade() -> None:
    """Entries before this one are not told to anybody; who consented is counted from the links."""
    op.execute("ALTER TABLE documents RENAME COLUMN owner TO series")
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("documents", "series", comment=_SERIES)
    _count()
    op.create_table(
        "changes",
        sa.Column("log_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("appended_at", sa.BigInteger(), nullable=False),
        sa.Column(
            "content", sa.LargeBinary(), nullable=False, comment="EntryChanges; entries without any have no row."
        ),
        sa.PrimaryKeyConstraint("log_index"),
    )
    op.create_index("changes_appended_at", "changes", ["appended_at"])
    op.create_table(
        "integrators",
        sa.Column("integrator", _INTEGRATOR, nullable=False),
        sa.Column("handle_epoch", sa.Integer(), nullable=False, comment="Another one makes other handles."),
        sa.Column("revoked_at", sa.BigInteger(), comment="By the operator; nothing: it may read."),
        sa.Column("day", sa.Integer(), nullable=False, comment="YYYYMMDD on which it took the snapshots counted."),
        sa.Column("snapshots", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("integrator"),
    )
    op.create_table(
        "integrator_certificates",
        sa.Column("fingerprint", sa.LargeBinary(length=32), nullable=False),
        sa.Column("integrator", _INTEGRATOR, nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint"),
    )
    op.create_table(
        "subscriptions",
        sa.Column("integrator", _INTEGRATOR, nullable=False),
        sa.Column("subscription", sa.String(length=32), nullable=False),
        sa.Column(
            "log_index", sa.BigInteger(), nullable=False, comment="The entry to go on with, acknowledged by its reader."
        ),
        sa.Column("skipped", sa.Integer(), nullable=False, comment="So many of its changes are dealt with, too."),
        sa.Column("cuts", sa.Integer(), nullable=False, comment="Of the log, when the reader acknowledged."),
        sa.Column("handle_epoch", sa.Integer(), nullable=False, comment="Of the integrator's, then."),
        sa.Column("scope", sa.LargeBinary(length=3), nullable=False, comment="Tag of what it might see, then."),
        sa.Column("heard_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("integrator", "subscription"),
    )


def _count() -> None:
    shown_by = sa.Column(
        "shown_by",
        sa.SmallInteger(),
        nullable=False,
        server_default="0",
        comment="Open links that let integrators see it.",
    )
    op.add_column("accounts", shown_by)
    op.execute(_COUNT)
    changes_from = sa.Column(
        "changes_from",
        sa.BigInteger(),
        nullable=False,
        server_default="0",
        comment="Changes of entries before this are kept no more.",
    )
    op.add_column("head", changes_from)
    op.execute("UPDATE head SET changes_from = log_size")
