"""What the agencies give back to a hub that lost a part of its log."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_AGENCY = sa.String(length=16)
_DIGEST = sa.LargeBinary(length=32)


def upgrade() -> None:
    """Tables, empty as long as nothing is lost."""
    op.create_table(
        "recovery",
        sa.Column(
            "one", sa.SmallInteger(), nullable=False, comment="Always 1; the row is there while the hub recovers."
        ),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("why", sa.String(length=16), nullable=False, comment="restored, asked or receipt."),
        sa.Column(
            "problem", sa.String(length=32), nullable=False, comment="The entry that keeps the log from being whole."
        ),
        sa.Column(
            "cut",
            sa.Boolean(),
            nullable=False,
            comment="What nobody has is given up; the rest goes in again.",
        ),
        sa.PrimaryKeyConstraint("one"),
    )
    op.create_table(
        "refeeders",
        sa.Column("agency", _AGENCY, nullable=False),
        sa.Column(
            "shown", sa.BigInteger(), nullable=False, comment="The log index of the newest receipt that it showed."
        ),
        sa.Column(
            "checkpoint",
            sa.LargeBinary(),
            comment="The newest that it accepted, empty: none; nothing: it has not given back all it holds yet.",
        ),
        sa.Column("cut_version", sa.Integer(), nullable=False, comment="The newest cut that it believed at hello."),
        sa.PrimaryKeyConstraint("agency"),
    )
    op.create_table(
        "refed",
        sa.Column("agency", _AGENCY, nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("log_index", sa.BigInteger(), comment="Where its receipt puts it; nothing: nobody got a receipt."),
        sa.Column("digest", _DIGEST, nullable=False),
        sa.Column("batch", sa.LargeBinary(), nullable=False),
        sa.Column("receipt", sa.LargeBinary(), nullable=False, comment="Empty: nobody got one."),
        sa.Column("documents", sa.LargeBinary(), nullable=False, comment="Those that it puts into force."),
        sa.PrimaryKeyConstraint("agency", "seq"),
    )
    op.create_index("refed_log_index", "refed", ["log_index"])
    op.create_table(
        "refed_accounts",
        sa.Column("agency", _AGENCY, nullable=False, comment="Who was told of it."),
        sa.Column("account_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("subject_key", _DIGEST, nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("key_epoch", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("agency", "account_id"),
    )
