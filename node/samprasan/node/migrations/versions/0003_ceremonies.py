"""Shares of the linking key move from the keyring, where they were dealt, to the ceremonies that make them."""

import sqlalchemy as sa
from alembic import op
from samprasan.edge.database import BigKey

revision = "0003"
down_revision = "0002"

_DIGEST = sa.LargeBinary(length=32)
_AGENCY = sa.String(length=16)


def upgrade() -> None:
    """Ceremonies, their messages and letters, and the shares they made."""
    op.create_table(
        "shares",
        sa.Column("point", _DIGEST, nullable=False, comment="The share's commitment, as a roster names it."),
        sa.Column("sealed_share", sa.LargeBinary(), nullable=False),
        sa.Column("roster_digest", _DIGEST, nullable=False, comment="The roster whose ceremony made it."),
        sa.PrimaryKeyConstraint("point"),
    )
    op.create_table(
        "ceremonies",
        sa.Column("roster_digest", _DIGEST, nullable=False, comment="The roster whose plan says what is made."),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("sealed_line", sa.LargeBinary(), comment="What this node drew, if it deals."),
        sa.Column("state", sa.String(length=12), nullable=False, comment="open, disputed, aborted or confirmed."),
        sa.Column("culprit", _AGENCY, comment="Whose messages broke the rules, or say otherwise."),
        sa.Column("reason", sa.String(length=16)),
        sa.Column("result", sa.LargeBinary(), comment="The next roster, signed: this node's confirmation."),
        sa.PrimaryKeyConstraint("roster_digest", "attempt"),
    )
    op.create_table(
        "ceremony_messages",
        sa.Column("digest", _DIGEST, nullable=False),
        sa.Column("roster_digest", _DIGEST, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("dealer", _AGENCY, nullable=False),
        sa.Column("holder", _AGENCY, nullable=False, comment="Whom a value is for; empty: a commitment."),
        sa.Column("sealed_envelope", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("ceremony_messages_of", "ceremony_messages", ["roster_digest", "attempt"])
    op.create_table(
        "ceremony_letters",
        sa.Column("letter_id", BigKey, autoincrement=True, nullable=False),
        sa.Column("roster_digest", _DIGEST, nullable=False),
        sa.Column("reader", _AGENCY, nullable=False),
        sa.Column("sealed_envelope", sa.LargeBinary(), nullable=False),
        sa.Column("posted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("letter_id"),
    )
