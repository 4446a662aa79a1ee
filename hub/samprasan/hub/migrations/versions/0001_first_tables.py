"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """The first tables."""
    op.create_table(
        "accounts",
        sa.Column("account_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("earned_health", sa.BigInteger(), nullable=False),
        sa.Column("earned_economy", sa.BigInteger(), nullable=False),
        sa.Column("earned_social", sa.BigInteger(), nullable=False),
        sa.Column("earned_environment", sa.BigInteger(), nullable=False),
        sa.Column("written_off", sa.BigInteger(), nullable=False),
        sa.Column("available", sa.BigInteger(), nullable=False),
        sa.Column("pending", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.Column("spent", sa.BigInteger(), nullable=False),
        sa.Column("expired", sa.BigInteger(), nullable=False),
        sa.Column("links", sa.SmallInteger(), nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("account_id"),
    )
    op.create_table(
        "agencies",
        sa.Column("agency", sa.String(length=16), nullable=False),
        sa.Column("earned", sa.BigInteger(), nullable=False),
        sa.Column("accounts", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("earned_on_day", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agency"),
    )
    op.create_table(
        "certificates",
        sa.Column("fingerprint", sa.LargeBinary(length=32), nullable=False),
        sa.Column("agency", sa.String(length=16), nullable=False),
        sa.Column("revoked", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint"),
    )
    op.create_table(
        "documents",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("proposed_at", sa.BigInteger(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False, comment="With every signature known so far."),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_table(
        "head",
        sa.Column("one", sa.SmallInteger(), nullable=False, comment="Always 1: whoever locks the row orders the log."),
        sa.Column("log_size", sa.BigInteger(), nullable=False),
        sa.Column("appended_at", sa.BigInteger(), nullable=False),
        sa.Column("documents_changed", sa.BigInteger(), nullable=False, comment="Counts news about documents."),
        sa.PrimaryKeyConstraint("one"),
    )
    op.create_table(
        "invites",
        sa.Column("secret_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("agency", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("application", sa.LargeBinary(), nullable=True, comment="The signed application that used it up."),
        sa.Column(
            "certificate", sa.LargeBinary(), nullable=True, comment="The client certificate it was traded for, DER."
        ),
        sa.PrimaryKeyConstraint("secret_hash"),
    )
    op.create_table(
        "links",
        sa.Column("agency", sa.String(length=16), nullable=False),
        sa.Column("account_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("purposes", sa.SmallInteger(), nullable=False, comment="Bit p is set for purpose p; 0: ended."),
        sa.PrimaryKeyConstraint("agency", "account_id"),
    )
    op.create_table(
        "log",
        sa.Column("log_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("agency", sa.String(length=16), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("batch", sa.LargeBinary(), nullable=False, comment="The signed envelope as sent."),
        sa.Column("receipt", sa.LargeBinary(), nullable=False, comment="The signed envelope as answered."),
        sa.PrimaryKeyConstraint("log_index"),
        sa.UniqueConstraint("agency", "seq"),
    )
    op.create_table(
        "mailbox",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("reader", sa.String(length=16), nullable=False),
        sa.Column("sender", sa.String(length=16), nullable=False),
        sa.Column("posted_at", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("mailbox_reader", "mailbox", ["reader", "number"], unique=False)
    op.create_table(
        "operations",
        sa.Column("agency", sa.String(length=16), nullable=False),
        sa.Column("op_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("content", sa.BigInteger(), nullable=False),
        sa.Column("log_index", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agency", "op_id"),
    )
    op.create_table(
        "presence",
        sa.Column("agency", sa.String(length=16), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agency"),
    )
    op.create_table(
        "refusals",
        sa.Column("agency", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("refusal", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("agency", "digest"),
    )
    op.create_table(
        "subjects",
        sa.Column(
            "subject_key",
            sa.LargeBinary(length=32),
            nullable=False,
            comment="The one place where a pseudonym stands; deletable.",
        ),
        sa.Column("account_id", sa.LargeBinary(length=16), nullable=False),
        sa.PrimaryKeyConstraint("subject_key"),
        sa.UniqueConstraint("account_id"),
    )
