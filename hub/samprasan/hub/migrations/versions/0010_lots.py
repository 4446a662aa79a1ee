"""Lots: whose credits an account holds, what awards owe, and what an agency did on a day.

The log of an earlier version counts credits otherwise: a home that has one cannot be brought up.
"""

import sqlalchemy as sa
from alembic import op
from samprasan.keys.errors import Refused

revision = "0010"
down_revision = "0009"

_LOTS = "Whose credits are available, and what is owed to them, JSON."
_PARTS = "From which lots they were drawn, JSON."
_OVER = "No other award may restore it."
_REVERSAL = "Of the reversal that had to leave something."


def upgrade() -> None:
    """New columns, in the order of the tables."""
    if op.get_bind().execute(sa.text("SELECT count(*) FROM accounts")).scalar():
        raise Refused("home_of_earlier_version")
    is_over: sa.Column[bool] = sa.Column(
        "is_over", sa.Boolean(), nullable=False, server_default=sa.true(), comment=_OVER
    )
    op.add_column("accounts", sa.Column("lots", sa.Text(), nullable=False, server_default="[[],[]]", comment=_LOTS))
    op.add_column("holds", sa.Column("parts", sa.Text(), nullable=False, server_default="[]", comment=_PARTS))
    op.add_column("corrections", is_over)
    op.create_table(
        "leftovers",
        sa.Column("agency", sa.String(length=16), nullable=False),
        sa.Column("op_id", sa.LargeBinary(length=16), nullable=False, comment=_REVERSAL),
        sa.Column("award", sa.LargeBinary(), nullable=False, comment="The Award that stands instead."),
        sa.PrimaryKeyConstraint("agency", "op_id"),
    )
    op.execute("ALTER TABLE agencies RENAME COLUMN earned_on_day TO spendable_on_day")
    for name in ("written_off_on_day", "reserved_on_day"):
        op.add_column("agencies", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
