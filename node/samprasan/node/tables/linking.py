"""Ids evaluated with the other agencies, and the ceremonies that make their key."""

import sqlalchemy as sa
from samprasan.edge.database import BigKey
from samprasan.node.tables.columns import AGENCY, DIGEST, ID, columns_of, metadata

questions = sa.Table(
    "questions",
    metadata,
    sa.Column("request_id", ID, primary_key=True),
    sa.Column("asked_at", sa.BigInteger, nullable=False),
    sa.Column("evaluator", AGENCY, nullable=False),
    sa.Column("purpose", sa.SmallInteger, nullable=False),
    sa.Column("elements", sa.Integer, nullable=False),
    sa.Column("digest", DIGEST, nullable=False),
    sa.Column("envelope", sa.LargeBinary, nullable=False),
    sa.Column("sealed_plan", sa.LargeBinary, nullable=False, comment="Subject ids and blinds, in the order asked."),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Column("posted", sa.Boolean, nullable=False),
    sa.Column(
        "state", sa.String(8), nullable=False, comment="open; once it is answered, refused, expired or stale: no plan."
    ),
    sa.Column("retry_at", sa.BigInteger, nullable=False, comment="Refused: do not ask this peer before."),
)
evaluations = sa.Table(
    "evaluations",
    metadata,
    sa.Column("requester", AGENCY, primary_key=True),
    sa.Column("request_id", ID, primary_key=True),
    sa.Column("digest", DIGEST, nullable=False),
    sa.Column("purpose", sa.SmallInteger, nullable=False),
    *columns_of(sa.Integer, "elements", "day"),
    sa.Column("answer", sa.LargeBinary, nullable=False, comment="Empty until made, and once the request expired."),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Column("granted", sa.Integer, nullable=False, comment="Of the elements, those charged to a grant."),
    sa.Column("grant_version", sa.Integer, nullable=False, comment="That grant; 0: none."),
    sa.Index("evaluations_expiry", "expires_at"),
)
evaluation_totals = sa.Table(
    "evaluation_totals",
    metadata,
    sa.Column("requester", AGENCY, primary_key=True),
    sa.Column("evaluator", AGENCY, primary_key=True),
    sa.Column("elements", sa.BigInteger, nullable=False, comment="Asked for, or evaluated, by this node."),
    sa.Column("acknowledged", sa.LargeBinary, nullable=False, comment="The newest total that both signed, or empty."),
    sa.Column("waiting", sa.Text, nullable=False, comment="Totals not acknowledged to this node, JSON."),
    sa.Column("heard", sa.BigInteger, nullable=False, comment="As the hub's chain says."),
)
linking_counts = sa.Table(
    "linking_counts",
    metadata,
    sa.Column("agency", AGENCY, primary_key=True),
    sa.Column("day", sa.Integer, primary_key=True, autoincrement=False, comment="YYYYMMDD, of the hub's chain."),
    *columns_of(sa.BigInteger, "evaluated", "admitted"),
)
admitted = sa.Table(
    "admitted",
    metadata,
    sa.Column("agency", AGENCY, primary_key=True),
    sa.Column("tag", ID, primary_key=True, comment="Of an admission that the hub's chain tells of."),
)
shares = sa.Table(
    "shares",
    metadata,
    sa.Column("point", DIGEST, primary_key=True, comment="The share's commitment, as a roster names it."),
    sa.Column("sealed_share", sa.LargeBinary, nullable=False),
    sa.Column("roster_digest", DIGEST, nullable=False, comment="The roster whose ceremony made it."),
)
ceremonies = sa.Table(
    "ceremonies",
    metadata,
    sa.Column("roster_digest", DIGEST, primary_key=True, comment="The roster whose plan says what is made."),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("sealed_line", sa.LargeBinary, comment="What this node drew, if it deals."),
    sa.Column("state", sa.String(12), nullable=False, comment="open, disputed, aborted or confirmed."),
    sa.Column("culprit", AGENCY, comment="Whose messages broke the rules, or say otherwise."),
    sa.Column("reason", sa.String(16)),
    sa.Column("result", sa.LargeBinary, comment="The next roster, signed: this node's confirmation."),
)
ceremony_messages = sa.Table(
    "ceremony_messages",
    metadata,
    sa.Column("digest", DIGEST, primary_key=True),
    sa.Column("roster_digest", DIGEST, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("dealer", AGENCY, nullable=False),
    sa.Column("holder", AGENCY, nullable=False, comment="Whom a value is for; empty: a commitment."),
    sa.Column("sealed_envelope", sa.LargeBinary, nullable=False),
    sa.Index("ceremony_messages_of", "roster_digest", "attempt"),
)
ceremony_letters = sa.Table(
    "ceremony_letters",
    metadata,
    sa.Column("letter_id", BigKey, primary_key=True, autoincrement=True),
    sa.Column("roster_digest", DIGEST, nullable=False),
    sa.Column("reader", AGENCY, nullable=False),
    sa.Column("sealed_envelope", sa.LargeBinary, nullable=False),
    sa.Column("posted", sa.Boolean, nullable=False),
)
