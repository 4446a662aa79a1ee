"""Admissions: the secret that the first Link on an account spends; and the rest of accounts that were left.

The hub of an earlier version opened accounts otherwise: a home that has told it anything cannot be brought up.
"""

import sqlalchemy as sa
from alembic import op
from samprasan.keys.errors import Refused

revision = "0011"
down_revision = "0010"

_RESTS_UNTIL = "It was left: until then a Link finds everything as it was."
_LEFT = "What was awarded stands there, or is over with it."
_STATES = "queued, waiting, settled, replaced, declined or over."
_ADMISSION = "The secret that the first Link spends, until the hub has taken it."


def upgrade() -> None:
    """New columns, in the order of the tables."""
    if op.get_bind().execute(sa.text("SELECT count(*) FROM batches")).scalar():
        raise Refused("home_of_earlier_version")
    rests = sa.text("rests_until IS NOT NULL")
    op.add_column("subjects", sa.Column("admission", sa.LargeBinary(length=16), comment=_ADMISSION))
    op.add_column("subjects", sa.Column("rests_until", sa.BigInteger(), comment=_RESTS_UNTIL))
    op.add_column("subjects", sa.Column("left_account", sa.LargeBinary(length=16), comment=_LEFT))
    op.create_index("subjects_rest", "subjects", ["rests_until"], sqlite_where=rests, postgresql_where=rests)
    is_over: sa.Column[bool] = sa.Column(
        "is_over", sa.Boolean(), nullable=False, server_default=sa.false(), comment="Its account is nobody's any more."
    )
    op.add_column("redemptions", is_over)
    _evaluations()
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("awards", "state", comment=_STATES)


def _evaluations() -> None:
    """What both agencies sign of evaluations, and what the hub's chain says of all."""
    signed = "The newest total that both signed, or empty."
    op.create_table(
        "evaluation_totals",
        sa.Column("requester", sa.String(length=16), nullable=False),
        sa.Column("evaluator", sa.String(length=16), nullable=False),
        sa.Column("elements", sa.BigInteger(), nullable=False, comment="Asked for, or evaluated, by this node."),
        sa.Column("acknowledged", sa.LargeBinary(), nullable=False, comment=signed),
        sa.Column("waiting", sa.Text(), nullable=False, comment="Totals not acknowledged to this node, JSON."),
        sa.Column("heard", sa.BigInteger(), nullable=False, comment="As the hub's chain says."),
        sa.PrimaryKeyConstraint("requester", "evaluator"),
    )
    op.create_table(
        "linking_counts",
        sa.Column("agency", sa.String(length=16), nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False, comment="YYYYMMDD, of the hub's chain."),
        sa.Column("evaluated", sa.BigInteger(), nullable=False),
        sa.Column("admitted", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agency", "day"),
    )
