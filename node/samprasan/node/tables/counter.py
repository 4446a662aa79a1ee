"""Redemptions at the counter, and deeds that go to the right person."""

import sqlalchemy as sa
from samprasan.edge.database import BigKey
from samprasan.node.tables.columns import AGENCY, DIGEST, ID, columns_of, metadata

redemptions = sa.Table(
    "redemptions",
    metadata,
    sa.Column("redemption_id", BigKey, primary_key=True, autoincrement=True),
    sa.Column("op_key", ID, nullable=False, unique=True, comment="Whoever asked named it so: asked again, it is this."),
    sa.Column("subject_id", sa.BigInteger, nullable=False, comment="0 once the subject was erased."),
    sa.Column("hold_id", ID, nullable=False, unique=True, comment="op_id of the Reserve."),
    sa.Column("owner", AGENCY, nullable=False, comment="Whose benefit."),
    sa.Column("benefit", sa.String(64), nullable=False),
    sa.Column("benefit_digest", DIGEST, nullable=False, comment="The terms that the subject was told."),
    sa.Column("credits", sa.BigInteger, nullable=False),
    sa.Column("ttl_seconds", sa.Integer, nullable=False),
    sa.Column("authorised_by", sa.String(16), nullable=False, comment="How the subject proved who they are."),
    sa.Column("reserve_only", sa.Boolean, nullable=False),
    sa.Column("on_own_risk", sa.Boolean, nullable=False, comment="Handed out while the hub was away."),
    sa.Column("asked_at", sa.BigInteger, nullable=False),
    sa.Column(
        "state",
        sa.String(8),
        nullable=False,
        comment="asked, held, posted, declined, voided, expired, refunded or dropped (nobody was asked).",
    ),
    sa.Column("reason", sa.SmallInteger, nullable=False, comment="Why the hub declined it."),
    sa.Column("deadline", sa.BigInteger, comment="When the hold runs out, by the hub's clock."),
    sa.Column("decided_at", sa.BigInteger, comment="By the hub's clock."),
    sa.Column("number", sa.Integer, unique=True, comment="Of the receipt that the subject got."),
    *columns_of(sa.BigInteger, "posted", "refunded"),
    sa.Column("is_over", sa.Boolean, nullable=False, comment="Its account is nobody's any more."),
    sa.Index("redemptions_subject", "subject_id", "state"),
    sa.Index("redemptions_state", "state", "deadline"),
)
hold_updates = sa.Table(
    "hold_updates",
    metadata,
    sa.Column("update_id", BigKey, primary_key=True, autoincrement=True),
    sa.Column("op_id", ID, nullable=False, unique=True, comment="Made with the update, before anything is sent."),
    sa.Column("change", sa.String(8), nullable=False, comment="reserve, post, void or refund."),
    sa.Column("agency", AGENCY, nullable=False, comment="Whose hold."),
    sa.Column("hold_id", ID, nullable=False),
    sa.Column("credits", sa.BigInteger, nullable=False),
    sa.Column("why", sa.SmallInteger, nullable=False, comment="The Void's or Refund's reason."),
    sa.Column("state", sa.String(8), nullable=False, comment="queued, settled or declined."),
    sa.Column("seq", sa.BigInteger, comment="The sealed batch that carries it."),
    sa.Column("reason", sa.SmallInteger, nullable=False, comment="Why the hub declined it."),
    sa.Index("hold_updates_hold", "hold_id"),
    sa.Index("hold_updates_state", "state", "seq", "update_id"),
    sa.Index("hold_updates_seq", "seq"),
)
moves = sa.Table(
    "moves",
    metadata,
    sa.Column("move_id", BigKey, primary_key=True, autoincrement=True),
    sa.Column("reason", sa.SmallInteger, nullable=False),
    sa.Column("maker", sa.String(100), nullable=False),
    sa.Column("checker", sa.String(100)),
    sa.Column("proposed_at", sa.BigInteger, nullable=False),
    sa.Column("subject_id", sa.BigInteger, nullable=False, comment="Whose deeds they are by mistake."),
    sa.Column("scheme", sa.String(8), nullable=False, comment="Of the right id."),
    sa.Column("id_index", DIGEST, nullable=False, comment="Of the right id."),
    sa.Column("sealed_id", sa.LargeBinary, comment="The right id; until the move is over, as is the name."),
    sa.Column("sealed_name", sa.LargeBinary),
    sa.Column("credits", sa.BigInteger, nullable=False),
    sa.Column(
        "state", sa.String(8), nullable=False, comment="proposed, waiting (for another agency), done or dropped."
    ),
    sa.Column("document", DIGEST, comment="Digest of the joint document that it waits for."),
    sa.Index("moves_subject", "subject_id"),
)
moving = sa.Table(
    "moving",
    metadata,
    sa.Column("move_id", sa.BigInteger, primary_key=True),
    sa.Column("deed_id", sa.BigInteger, primary_key=True),
    sa.Index("moving_deed", "deed_id"),
)
moved = sa.Table(
    "moved",
    metadata,
    sa.Column("deed_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("wrong_index", DIGEST, nullable=False, comment="Of the id that the record states by mistake."),
    sa.Index("moved_wrong", "wrong_index"),
)
