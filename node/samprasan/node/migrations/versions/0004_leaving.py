"""Leaving: consents taken back, accounts given up, people erased; the hub's answers one by one; grants; rotation."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_DIGEST = sa.LargeBinary(length=32)


def upgrade() -> None:
    """What subjects took back, tombstones, one signed answer for each account, and the linking key of each."""
    with op.batch_alter_table("subjects") as table:
        table.drop_column("opened_id")
        table.alter_column(
            "linked",
            existing_type=sa.SmallInteger(),
            existing_nullable=False,
            comment="Purposes of the newest Link in a sealed batch, as bits; 1: an Unlink is on its way.",
        )
        table.add_column(
            sa.Column("sealed_opened", sa.LargeBinary(), comment="The hub's signed answer that named the account.")
        )
        table.add_column(
            sa.Column(
                "unlink_at",
                sa.BigInteger(),
                comment="Nothing is agreed to any more: when the hub is to hear of it.",
            )
        )
        table.add_column(
            sa.Column(
                "withdrawn",
                sa.SmallInteger(),
                nullable=False,
                server_default="0",
                comment="Consents taken back by the subject, as bits: no import gives them again.",
            )
        )
        table.add_column(
            sa.Column(
                "erasing",
                sa.Boolean(),
                nullable=False,
                server_default=sa.false(),
                comment="Kept only until the hub has heard of it.",
            )
        )
        table.add_column(
            sa.Column(
                "due",
                sa.Boolean(),
                nullable=False,
                server_default=sa.true(),
                comment="The hub may have to hear of a consent, or of its end.",
            )
        )
        table.alter_column(
            "sealed_key",
            existing_type=sa.LargeBinary(),
            existing_nullable=True,
            comment="The subject key (pseudonym) until the account is known; then, the next one until it has moved.",
        )
        table.add_column(
            sa.Column(
                "key_epoch",
                sa.Integer(),
                nullable=False,
                server_default="1",
                comment="Of the key that the hub was told; 0: a public id.",
            )
        )
        table.add_column(
            sa.Column(
                "rekey_at",
                sa.BigInteger(),
                nullable=False,
                server_default="0",
                comment="Not to tell the hub of the next key before.",
            )
        )
    op.execute("UPDATE subjects SET key_epoch = 0 WHERE scheme IN ('registry', 'th-area')")
    op.create_index("subjects_due", "subjects", ["due", "account_id"])
    op.drop_table("opened")
    op.create_table(
        "erased",
        sa.Column("record_hash", _DIGEST, nullable=False, comment="Keyed, of source and record id: not to come back."),
        sa.PrimaryKeyConstraint("record_hash"),
    )
    with op.batch_alter_table("questions") as table:
        table.alter_column(
            "state",
            existing_type=sa.String(length=8),
            existing_nullable=False,
            comment="open; once it is answered, refused, expired or stale: no plan.",
        )
    with op.batch_alter_table("evaluations") as table:
        table.alter_column(
            "answer",
            existing_type=sa.LargeBinary(),
            existing_nullable=False,
            comment="Empty until made, and once the request expired.",
        )
        table.add_column(sa.Column("expires_at", sa.BigInteger(), nullable=False, server_default="0"))
        for name, comment in (
            ("granted", "Of the elements, those charged to a grant."),
            ("grant_version", "That grant; 0: none."),
        ):
            table.add_column(sa.Column(name, sa.Integer(), nullable=False, server_default="0", comment=comment))
    op.create_index("evaluations_expiry", "evaluations", ["expires_at"])
