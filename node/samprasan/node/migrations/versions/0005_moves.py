"""Moves of deeds from a wrong account to the right one."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_DIGEST = sa.LargeBinary(length=32)


def upgrade() -> None:
    """Moves, the deeds of each, and what a moved deed's record states by mistake."""
    op.create_table(
        "moves",
        sa.Column("move_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("reason", sa.SmallInteger(), nullable=False),
        sa.Column("maker", sa.String(length=100), nullable=False),
        sa.Column("checker", sa.String(length=100)),
        sa.Column("proposed_at", sa.BigInteger(), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), nullable=False, comment="Whose deeds they are by mistake."),
        sa.Column("scheme", sa.String(length=8), nullable=False, comment="Of the right id."),
        sa.Column("id_index", _DIGEST, nullable=False, comment="Of the right id."),
        sa.Column("sealed_id", sa.LargeBinary(), comment="The right id; until the move is over, as is the name."),
        sa.Column("sealed_name", sa.LargeBinary()),
        sa.Column("credits", sa.BigInteger(), nullable=False),
        sa.Column(
            "state",
            sa.String(length=8),
            nullable=False,
            comment="proposed, waiting (for another agency), done or dropped.",
        ),
        sa.Column("document", _DIGEST, comment="Digest of the joint document that it waits for."),
        sa.PrimaryKeyConstraint("move_id"),
    )
    op.create_index("moves_subject", "moves", ["subject_id"])
    op.create_table(
        "moving",
        sa.Column("move_id", sa.BigInteger(), nullable=False),
        sa.Column("deed_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("move_id", "deed_id"),
    )
    op.create_index("moving_deed", "moving", ["deed_id"])
    op.create_table(
        "moved",
        sa.Column("deed_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("wrong_index", _DIGEST, nullable=False, comment="Of the id that the record states by mistake."),
        sa.PrimaryKeyConstraint("deed_id"),
    )
    op.create_index("moved_wrong", "moved", ["wrong_index"])
