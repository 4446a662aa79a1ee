"""What a hub that recovers has been given back so far."""

import sqlalchemy as sa
from samprasan.hub.tables.columns import AGENCY, DIGEST, ID, metadata

recovery = sa.Table(
    "recovery",
    metadata,
    sa.Column("one", sa.SmallInteger, primary_key=True, comment="Always 1; the row is there while the hub recovers."),
    sa.Column("since", sa.BigInteger, nullable=False),
    sa.Column("why", sa.String(16), nullable=False, comment="restored, asked or receipt."),
    sa.Column("problem", sa.String(32), nullable=False, comment="The entry that keeps the log from being whole."),
    sa.Column("cut", sa.Boolean, nullable=False, comment="What nobody has is given up; the rest goes in again."),
    sa.Column(
        "searched",
        sa.Text,
        nullable=False,
        comment="For these entries and checkpoints the places of lost receipts were looked for in vain.",
    ),
)
refeeders = sa.Table(
    "refeeders",
    metadata,
    sa.Column("agency", AGENCY, primary_key=True),
    sa.Column("shown", sa.BigInteger, nullable=False, comment="The log index of the newest receipt that it showed."),
    sa.Column(
        "checkpoint",
        sa.LargeBinary,
        comment="The newest that it accepted, empty: none; nothing: it has not given back all it holds yet.",
    ),
    sa.Column("cut_version", sa.Integer, nullable=False, comment="The newest cut that it believed at hello."),
)
refed = sa.Table(
    "refed",
    metadata,
    sa.Column("agency", AGENCY, primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("log_index", sa.BigInteger, comment="Where its receipt puts it; nothing: nobody got a receipt."),
    sa.Column("digest", DIGEST, nullable=False),
    sa.Column("batch", sa.LargeBinary, nullable=False),
    sa.Column("receipt", sa.LargeBinary, nullable=False, comment="Empty: nobody got one."),
    sa.Column("documents", sa.LargeBinary, nullable=False, comment="Those that it puts into force."),
    sa.Index("refed_log_index", "log_index"),
)
refed_accounts = sa.Table(
    "refed_accounts",
    metadata,
    sa.Column("agency", AGENCY, primary_key=True, comment="Who was told of it."),
    sa.Column("account_id", ID, primary_key=True),
    sa.Column("subject_key", DIGEST, nullable=False),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("key_epoch", sa.Integer, nullable=False),
    sa.Column(
        "admission", sa.LargeBinary, nullable=False, comment="The secret that it was given; empty: it was linked."
    ),
    sa.Column("lapses_at", sa.BigInteger, nullable=False),
)
refed_evaluations = sa.Table(
    "refed_evaluations",
    metadata,
    *(sa.Column(name, AGENCY, primary_key=True) for name in ("requester", "evaluator")),
    sa.Column("total", sa.BigInteger, nullable=False),
    sa.Column("envelope", sa.LargeBinary, nullable=False, comment="As both signed it."),
)
