"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """The first tables."""
    op.create_table(
        "batches",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("receipt", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_table(
        "documents",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_table(
        "evaluations",
        sa.Column("requester", sa.String(length=16), nullable=False),
        sa.Column("request_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("purpose", sa.SmallInteger(), nullable=False),
        sa.Column("elements", sa.Integer(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("requester", "request_id"),
    )
    op.create_table(
        "imports",
        sa.Column(
            "import_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("source", sa.String(length=100), nullable=False),
        sa.Column("file_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("imported_at", sa.BigInteger(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False, comment="The report without its rows, JSON."),
        sa.PrimaryKeyConstraint("import_id"),
    )
    op.create_table(
        "notes",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "opened",
        sa.Column(
            "opened_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("opened_id"),
    )
    op.create_table(
        "questions",
        sa.Column("request_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("evaluator", sa.String(length=16), nullable=False),
        sa.Column("purpose", sa.SmallInteger(), nullable=False),
        sa.Column("elements", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column(
            "sealed_plan", sa.LargeBinary(), nullable=False, comment="Subject ids and blinds, in the order asked."
        ),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("posted", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False, comment="open, answered or refused."),
        sa.Column("retry_at", sa.BigInteger(), nullable=False, comment="Refused: do not ask this peer before."),
        sa.PrimaryKeyConstraint("request_id"),
    )
    op.create_table(
        "refused",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("refusal", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_table(
        "subjects",
        sa.Column(
            "subject_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("id_index", sa.LargeBinary(length=32), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("scheme", sa.String(length=8), nullable=False),
        sa.Column("sealed_id", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_name", sa.LargeBinary(), nullable=False),
        sa.Column("share", sa.Boolean(), nullable=False, comment="Consent: credits may leave the node."),
        sa.Column("redeem", sa.Boolean(), nullable=False, comment="Consent: the balance may be read and spent here."),
        sa.Column(
            "wanted", sa.Boolean(), nullable=False, comment="Somebody asked for a balance before there was an account."
        ),
        sa.Column(
            "sealed_key",
            sa.LargeBinary(),
            nullable=True,
            comment="The subject key (pseudonym) until the account is known.",
        ),
        sa.Column("account_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column(
            "opened_id", sa.BigInteger(), nullable=True, comment="The hub's signed answer that named the account."
        ),
        sa.Column(
            "linked",
            sa.SmallInteger(),
            nullable=False,
            comment="Purposes of the newest Link in a sealed batch, as bits.",
        ),
        sa.Column("link_settled", sa.SmallInteger(), nullable=False, comment="The same, once its receipt is here."),
        sa.Column("totals", sa.LargeBinary(), nullable=True, comment="The hub's newest signed Totals."),
        sa.PrimaryKeyConstraint("subject_id"),
        sa.UniqueConstraint("account_id"),
        sa.UniqueConstraint("id_index"),
    )
    op.create_index("subjects_unlinked", "subjects", ["account_id", "share"], unique=False)
    op.create_table(
        "deeds",
        sa.Column("deed_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("source", sa.String(length=100), nullable=False),
        sa.Column("record_id", sa.String(length=200), nullable=False),
        sa.Column(
            "fingerprint", sa.LargeBinary(length=32), nullable=False, comment="Keyed hash of what the record says."
        ),
        sa.Column("import_id", sa.BigInteger(), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), nullable=False),
        sa.Column("category", sa.String(length=64), nullable=False),
        sa.Column("quantity", sa.String(length=32), nullable=False),
        sa.Column("occurred_on", sa.Integer(), nullable=False),
        sa.Column("area_code", sa.String(length=8), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("credits", sa.BigInteger(), nullable=False),
        sa.Column("dimension", sa.SmallInteger(), nullable=False),
        sa.Column("policy_version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False, comment="local, queued, settled or declined."),
        sa.Column(
            "op_id", sa.LargeBinary(length=16), nullable=True, comment="Made with the deed, before anything is sent."
        ),
        sa.Column("seq", sa.BigInteger(), nullable=True, comment="The sealed batch that carries it."),
        sa.Column("reason", sa.SmallInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id"],
            ["subjects.subject_id"],
        ),
        sa.PrimaryKeyConstraint("deed_id"),
        sa.UniqueConstraint("op_id"),
        sa.UniqueConstraint("source", "record_id"),
    )
    op.create_index("deeds_seq", "deeds", ["seq"], unique=False)
    op.create_index("deeds_state", "deeds", ["state", "seq"], unique=False)
    op.create_index("deeds_subject", "deeds", ["subject_id"], unique=False)
