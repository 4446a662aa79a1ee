"""What each agency did to each account, what reconciliations found, and entries that are not what was stored."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_AGENCY = sa.String(length=16)
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Tables; the log is counted when somebody first reconciles."""
    op.create_table(
        "contributions",
        sa.Column("agency", _AGENCY, nullable=False),
        sa.Column("account_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column(
            "health", sa.BigInteger(), nullable=False, comment="Credits of its awards that stand, as are the next."
        ),
        sa.Column("economy", sa.BigInteger(), nullable=False),
        sa.Column("social", sa.BigInteger(), nullable=False),
        sa.Column("environment", sa.BigInteger(), nullable=False),
        sa.Column("spent", sa.BigInteger(), nullable=False, comment="By its holds, less its own refunds."),
        sa.PrimaryKeyConstraint("agency", "account_id"),
    )
    op.create_index("contributions_account", "contributions", ["account_id"])
    op.create_table(
        "counted",
        sa.Column("one", sa.SmallInteger(), nullable=False, comment="Always 1."),
        sa.Column("log_size", sa.BigInteger(), nullable=False, comment="So many entries are in the contributions."),
        sa.PrimaryKeyConstraint("one"),
    )
    op.create_table(
        "reconciliations",
        sa.Column("number", _KEY, autoincrement=True, nullable=False),
        sa.Column("agency", _AGENCY, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False, comment="The agency's batch up to which was compared."),
        sa.Column("accounts", sa.BigInteger(), nullable=False),
        sa.Column("differences", sa.BigInteger(), nullable=False),
        sa.Column("causes", sa.Text(), nullable=False, comment="Accounts by likely cause, JSON."),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_table(
        "damages",
        sa.Column("log_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("found_at", sa.BigInteger(), nullable=False),
        sa.Column("what", sa.String(length=16), nullable=False, comment="missing, receipt, tree, place or batch."),
        sa.PrimaryKeyConstraint("log_index"),
    )
    op.create_index("reconciliations_agency", "reconciliations", ["agency", "number"])
