"""Awards leave the deeds' table, since a deed may need several; what an import changed is kept, so it can be undone."""

import sqlalchemy as sa
from alembic import op
from samprasan.edge.database import BigKey

revision = "0002"
down_revision = "0001"

_ID = sa.LargeBinary(length=16)


def upgrade() -> None:
    """Consents, awards, what was said before, and deeds without what became of them."""
    op.add_column("subjects", _flag("integrators", "Consent: integrators may see changes."))
    op.add_column("subjects", _flag("publish", "Consent: may be shown as an exemplar."))
    op.add_column("imports", sa.Column("undone_at", sa.BigInteger()))
    _create_awards()
    _create_history()
    _split_deeds()


def _create_awards() -> None:
    op.create_table(
        "awards",
        sa.Column("award_id", BigKey, autoincrement=True, nullable=False),
        sa.Column("deed_id", sa.BigInteger(), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), nullable=False, comment="Whose account it is about."),
        sa.Column("op_id", _ID, nullable=False, comment="Made with the award, before anything is sent."),
        sa.Column("replaces", _ID, comment="op_id of the award it takes the place of, or takes back."),
        sa.Column(
            "reverse_reason", sa.SmallInteger(), nullable=False, comment="0: an Award; else the Reverse's reason."
        ),
        sa.Column("credits", sa.BigInteger(), nullable=False),
        sa.Column("dimension", sa.SmallInteger(), nullable=False),
        sa.Column("month", sa.Integer(), nullable=False),
        sa.Column("policy_version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False, comment="queued, settled, replaced or declined."),
        sa.Column("seq", sa.BigInteger(), comment="The sealed batch that carries it."),
        sa.Column("reason", sa.SmallInteger(), nullable=False, comment="Why the hub declined it."),
        sa.PrimaryKeyConstraint("award_id"),
    )
    op.create_index("awards_deed", "awards", ["deed_id"])
    op.create_index("awards_subject", "awards", ["subject_id"])
    op.create_index("awards_state", "awards", ["state", "seq", "award_id"])
    op.create_index("awards_seq", "awards", ["seq"])


def _create_history() -> None:
    op.create_table(
        "earlier",
        sa.Column(
            "import_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="The import that corrected the deed.",
        ),
        sa.Column("deed_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("content", sa.Text(), nullable=False, comment="What the deed said before, JSON; no id and no name."),
        sa.Column("subject_id", sa.BigInteger(), nullable=False, comment="Of whom it said so."),
        sa.PrimaryKeyConstraint("import_id", "deed_id"),
    )
    op.create_index("earlier_subject", "earlier", ["subject_id"])
    op.create_table(
        "restated",
        sa.Column(
            "import_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="The import that said otherwise."
        ),
        sa.Column("subject_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sealed_name", sa.LargeBinary(), nullable=False, comment="What was known before; as are the rest."),
        sa.Column("share", sa.Boolean(), nullable=False),
        sa.Column("redeem", sa.Boolean(), nullable=False),
        sa.Column("integrators", sa.Boolean(), nullable=False),
        sa.Column("publish", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("import_id", "subject_id"),
    )


def _split_deeds() -> None:
    op.add_column("deeds", _flag("share", "The record's own word on sharing."))
    op.add_column("deeds", _flag("gone", "Its import was undone; the hub is still to hear of it."))
    op.execute(
        "UPDATE deeds SET share = (op_id IS NOT NULL)"
        " OR (SELECT subjects.share FROM subjects WHERE subjects.subject_id = deeds.subject_id)"
    )
    op.execute(
        "INSERT INTO awards (deed_id, subject_id, op_id, reverse_reason, credits, dimension, month, policy_version,"
        " state, seq, reason) SELECT deed_id, subject_id, op_id, 0, credits, dimension, occurred_on / 100,"
        " policy_version, state, seq, reason FROM deeds WHERE op_id IS NOT NULL ORDER BY deed_id"
    )
    op.drop_index("deeds_state", "deeds")
    op.drop_index("deeds_seq", "deeds")
    with op.batch_alter_table("deeds") as table:
        for column in ("state", "op_id", "seq", "reason"):
            table.drop_column(column)
    op.create_index("deeds_import", "deeds", ["import_id"])


def _flag(name: str, comment: str) -> "sa.Column[bool]":
    return sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false(), comment=comment)
