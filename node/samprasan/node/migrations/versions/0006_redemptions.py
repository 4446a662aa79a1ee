"""Redemptions, and what the hub is told of holds; documents of one agency's own."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_ID = sa.LargeBinary(length=16)
_DIGEST = sa.LargeBinary(length=32)
_AGENCY = sa.String(length=16)
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """What was asked for at the counter, and the updates that tell the hub."""
    owner = sa.Column(
        "owner",
        _AGENCY,
        nullable=False,
        server_default="",
        comment="Whose own document it is; empty: a joint one.",
    )
    op.add_column("documents", owner)
    op.create_table(
        "redemptions",
        sa.Column("redemption_id", _KEY, autoincrement=True, nullable=False),
        sa.Column("op_key", _ID, nullable=False, comment="Whoever asked named it so: asked again, it is this."),
        sa.Column("subject_id", sa.BigInteger(), nullable=False, comment="0 once the subject was erased."),
        sa.Column("hold_id", _ID, nullable=False, comment="op_id of the Reserve."),
        sa.Column("owner", _AGENCY, nullable=False, comment="Whose benefit."),
        sa.Column("benefit", sa.String(length=64), nullable=False),
        sa.Column("benefit_digest", _DIGEST, nullable=False, comment="The terms that the subject was told."),
        sa.Column("credits", sa.BigInteger(), nullable=False),
        sa.Column("ttl_seconds", sa.Integer(), nullable=False),
        sa.Column(
            "authorised_by", sa.String(length=16), nullable=False, comment="How the subject proved who they are."
        ),
        sa.Column("reserve_only", sa.Boolean(), nullable=False),
        sa.Column("on_own_risk", sa.Boolean(), nullable=False, comment="Handed out while the hub was away."),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column(
            "state",
            sa.String(length=8),
            nullable=False,
            comment="asked, held, posted, declined, voided, expired, refunded or dropped (nobody was asked).",
        ),
        sa.Column("reason", sa.SmallInteger(), nullable=False, comment="Why the hub declined it."),
        sa.Column("deadline", sa.BigInteger(), comment="When the hold runs out, by the hub's clock."),
        sa.Column("decided_at", sa.BigInteger(), comment="By the hub's clock."),
        sa.Column("number", sa.Integer(), comment="Of the receipt that the subject got."),
        sa.Column("posted", sa.BigInteger(), nullable=False),
        sa.Column("refunded", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("redemption_id"),
        sa.UniqueConstraint("op_key"),
        sa.UniqueConstraint("hold_id"),
        sa.UniqueConstraint("number"),
    )
    op.create_index("redemptions_subject", "redemptions", ["subject_id", "state"])
    op.create_index("redemptions_state", "redemptions", ["state", "deadline"])
    op.create_table(
        "hold_updates",
        sa.Column("update_id", _KEY, autoincrement=True, nullable=False),
        sa.Column("op_id", _ID, nullable=False, comment="Made with the update, before anything is sent."),
        sa.Column("change", sa.String(length=8), nullable=False, comment="reserve, post, void or refund."),
        sa.Column("agency", _AGENCY, nullable=False, comment="Whose hold."),
        sa.Column("hold_id", _ID, nullable=False),
        sa.Column("credits", sa.BigInteger(), nullable=False),
        sa.Column("why", sa.SmallInteger(), nullable=False, comment="The Void's or Refund's reason."),
        sa.Column("state", sa.String(length=8), nullable=False, comment="queued, settled or declined."),
        sa.Column("seq", sa.BigInteger(), comment="The sealed batch that carries it."),
        sa.Column("reason", sa.SmallInteger(), nullable=False, comment="Why the hub declined it."),
        sa.PrimaryKeyConstraint("update_id"),
        sa.UniqueConstraint("op_id"),
    )
    op.create_index("hold_updates_hold", "hold_updates", ["hold_id"])
    op.create_index("hold_updates_state", "hold_updates", ["state", "seq", "update_id"])
    op.create_index("hold_updates_seq", "hold_updates", ["seq"])
