"""What agencies had evaluated, and on how many accounts they ever awarded."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_AGENCY = sa.String(length=16)


def upgrade() -> None:
    """Reports of evaluations, and the count they are held against."""
    op.create_table(
        "evaluated",
        sa.Column("evaluator", _AGENCY, nullable=False),
        sa.Column("requester", _AGENCY, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("elements", sa.BigInteger(), nullable=False, comment="As the evaluator reported, at most."),
        sa.PrimaryKeyConstraint("evaluator", "requester", "day"),
    )
    op.add_column("agencies", sa.Column("used", sa.BigInteger(), nullable=False, server_default="0"))
    with op.batch_alter_table("links") as table:
        table.alter_column(
            "purposes",
            existing_type=sa.SmallInteger(),
            existing_nullable=False,
            comment="Bit p: purpose p; bit 0 alone, or none: ended.",
        )
