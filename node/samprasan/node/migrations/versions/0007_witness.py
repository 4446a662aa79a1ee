"""What the node has seen of the hub's log, as a witness."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Checkpoints, proofs of receipts, what other agencies have seen, and evidence against the hub."""
    op.create_table(
        "proofs",
        sa.Column(
            "seq", sa.BigInteger(), autoincrement=False, nullable=False, comment="The batch whose receipt it is of."
        ),
        sa.Column("size", sa.BigInteger(), nullable=False, comment="The checkpoint it leads to."),
        sa.Column("path", sa.LargeBinary(), nullable=False, comment="Hashes of 32 bytes, the leaf's sibling first."),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_table(
        "checkpoints",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False, comment="Signed by the hub; with the cosignatures it had."),
        sa.PrimaryKeyConstraint("size"),
    )
    op.create_table(
        "heard",
        sa.Column("agency", sa.String(length=16), nullable=False, comment="Who knows of it."),
        sa.Column(
            "note", sa.LargeBinary(), nullable=False, comment="A checkpoint that the hub is still to connect to ours."
        ),
        sa.Column(
            "heard_at",
            sa.BigInteger(),
            nullable=False,
            comment="Since when something of this agency waits for that.",
        ),
        sa.PrimaryKeyConstraint("agency"),
    )
    op.create_table(
        "evidence",
        sa.Column("evidence_id", _KEY, autoincrement=True, nullable=False),
        sa.Column("found_at", sa.BigInteger(), nullable=False),
        sa.Column(
            "first", sa.LargeBinary(), nullable=False, comment="Signed by the hub, as is the second: one of them lies."
        ),
        sa.Column("second", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("evidence_id"),
    )
