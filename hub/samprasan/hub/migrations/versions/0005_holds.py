"""Holds: what agencies offer, what is set aside and spent, and how often a subject had what."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_ID = sa.LargeBinary(length=16)
_AGENCY = sa.String(length=16)
_CODE = sa.String(length=64)


def upgrade() -> None:
    """Offers, holds and uses; documents of one agency's own; what each agency's holds spent."""
    owner = sa.Column(
        "owner",
        _AGENCY,
        nullable=False,
        server_default="",
        comment="Whose own document it is; empty: a joint one.",
    )
    op.add_column("documents", owner)
    op.add_column("agencies", sa.Column("spent", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_table(
        "holding",
        sa.Column("agency", _AGENCY, nullable=False),
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("open_holds", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("agency", "account_id"),
    )
    op.create_table(
        "holds",
        sa.Column("agency", _AGENCY, nullable=False, comment="Who reserved."),
        sa.Column("hold_id", _ID, nullable=False, comment="op_id of its Reserve."),
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("credits", sa.BigInteger(), nullable=False),
        sa.Column("owner", _AGENCY, nullable=False, comment="Whose benefit."),
        sa.Column("benefit", _CODE, nullable=False),
        sa.Column("period", sa.Integer(), nullable=False, comment="In which it counts for its subject."),
        sa.Column("deadline", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False, comment="HoldState."),
        sa.Column("posted", sa.BigInteger(), nullable=False),
        sa.Column("refunded", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agency", "hold_id"),
    )
    op.create_index("holds_deadline", "holds", ["state", "deadline"])
    op.create_index("holds_account", "holds", ["account_id", "state"])
    op.create_table(
        "offers",
        sa.Column("owner", _AGENCY, nullable=False),
        sa.Column("benefit", _CODE, nullable=False),
        sa.Column("message", sa.LargeBinary(), nullable=False, comment="The Benefit as its catalogue states it."),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        sa.Column("taken", sa.BigInteger(), nullable=False, comment="Pieces given or set aside."),
        sa.PrimaryKeyConstraint("owner", "benefit"),
    )
    op.create_table(
        "uses",
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("owner", _AGENCY, nullable=False),
        sa.Column("benefit", _CODE, nullable=False),
        sa.Column("period", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "owner", "benefit", "period"),
    )
