"""The log's Merkle tree, its checkpoints, and who cosigned them."""

import sqlalchemy as sa
from alembic import op
from samprasan.keys import merkle, signing
from samprasan.v1.envelope_pb2 import Envelope

revision = "0006"
down_revision = "0005"

_DIGEST = sa.LargeBinary(length=32)
_AGENCY = sa.String(length=16)


def upgrade() -> None:
    """Tables for the tree; the receipts of a log that is there already become its leaves."""
    tree = op.create_table(
        "tree",
        sa.Column("level", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", _DIGEST, nullable=False, comment="Of a complete subtree of 256**level entries of the log."),
        sa.PrimaryKeyConstraint("level", "number"),
    )
    op.create_table(
        "checkpoints",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False, comment="As the hub signed it."),
        sa.PrimaryKeyConstraint("size"),
    )
    op.create_table(
        "cosignatures",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("agency", _AGENCY, nullable=False),
        sa.Column("key", _DIGEST, nullable=False, comment="The public key it is by."),
        sa.Column("seconds", sa.BigInteger(), nullable=False),
        sa.Column("signature", sa.LargeBinary(length=64), nullable=False),
        sa.PrimaryKeyConstraint("size", "agency"),
    )
    _grow(op.get_bind(), tree)


def _grow(connection: sa.Connection, tree: sa.Table) -> None:
    log = sa.table("log", sa.column("log_index"), sa.column("receipt"))

    def fetch(level: int, first: int, count: int) -> list[bytes]:
        wanted = (tree.c.level == level, tree.c.number >= first, tree.c.number < first + count)
        return list(connection.execute(sa.select(tree.c.hash).where(*wanted).order_by(tree.c.number)).scalars())

    size = 0
    while True:
        query = sa.select(log.c.receipt).where(log.c.log_index >= size).order_by(log.c.log_index)
        receipts = list(connection.execute(query.limit(merkle.TILE_WIDTH)).scalars())
        if not receipts:
            return
        leaves = [merkle.leaf_hash(signing.digest(Envelope.FromString(each))) for each in receipts]
        rows = merkle.grown(fetch, size, leaves)
        connection.execute(tree.insert(), [dict(zip(("level", "number", "hash"), row, strict=True)) for row in rows])
        size += len(leaves)
