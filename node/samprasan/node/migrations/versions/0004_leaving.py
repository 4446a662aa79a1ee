"""Leaving: consents taken back, accounts given up, people erased; the hub's answers one by one; grants; rotation.

No table is written anew: SQLite would delete the subjects for it, to whom deeds refer.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_DIGEST = sa.LargeBinary(length=32)
_SUBJECTS: "tuple[sa.Column[Any], ...]" = (
    sa.Column("sealed_opened", sa.LargeBinary(), comment="The hub's signed answer that named the account."),
    sa.Column("unlink_at", sa.BigInteger(), comment="Nothing is agreed to any more: when the hub is to hear of it."),
    sa.Column(
        "withdrawn",
        sa.SmallInteger(),
        nullable=False,
        server_default="0",
        comment="Consents taken back by the subject, as bits: no import gives them again.",
    ),
    sa.Column(
        "erasing",
        sa.Boolean(),
        nullable=False,
        server_default=sa.false(),
        comment="Kept only until the hub has heard of it.",
    ),
    sa.Column(
        "due",
        sa.Boolean(),
        nullable=False,
        server_default=sa.true(),
        comment="The hub may have to hear of a consent, or of its end.",
    ),
    sa.Column(
        "key_epoch",
        sa.Integer(),
        nullable=False,
        server_default="1",
        comment="Of the key that the hub was told; 0: a public id.",
    ),
    sa.Column(
        "rekey_at",
        sa.BigInteger(),
        nullable=False,
        server_default="0",
        comment="Not to tell the hub of the next key before.",
    ),
)
_COMMENTS = (
    ("subjects", "linked", "Purposes of the newest Link in a sealed batch, as bits; 1: an Unlink is on its way."),
    (
        "subjects",
        "sealed_key",
        "The subject key (pseudonym) until the account is known; then, the next one until it has moved.",
    ),
    ("questions", "state", "open; once it is answered, refused, expired or stale: no plan."),
    ("evaluations", "answer", "Empty until made, and once the request expired."),
)


def upgrade() -> None:
    """What subjects took back, tombstones, one signed answer for each account, and the linking key of each."""
    op.execute("ALTER TABLE subjects DROP COLUMN opened_id")
    for column in _SUBJECTS:
        op.add_column("subjects", column._copy())
    op.execute("UPDATE subjects SET key_epoch = 0 WHERE scheme IN ('registry', 'th-area')")
    op.create_index("subjects_due", "subjects", ["due", "account_id"])
    op.drop_table("opened")
    op.create_table(
        "erased",
        sa.Column("record_hash", _DIGEST, nullable=False, comment="Keyed, of source and record id: not to come back."),
        sa.PrimaryKeyConstraint("record_hash"),
    )
    op.add_column("evaluations", sa.Column("expires_at", sa.BigInteger(), nullable=False, server_default="0"))
    for name, comment in (
        ("granted", "Of the elements, those charged to a grant."),
        ("grant_version", "That grant; 0: none."),
    ):
        column = sa.Column(name, sa.Integer(), nullable=False, server_default="0", comment=comment)
        op.add_column("evaluations", column)
    op.create_index("evaluations_expiry", "evaluations", ["expires_at"])
    if op.get_bind().dialect.name == "postgresql":  # SQLite keeps no comments
        for table, name, comment in _COMMENTS:
            op.alter_column(table, name, comment=comment)
