"""The log, its tree and what the hub found out about them."""

import sqlalchemy as sa
from samprasan.edge.database import BigKey
from samprasan.hub.tables.columns import AGENCY, DIGEST, ID, metadata, whole

head = sa.Table(
    "head",
    metadata,
    sa.Column("one", sa.SmallInteger, primary_key=True, comment="Always 1: whoever locks the row orders the log."),
    *whole("log_size", "appended_at"),
    sa.Column("documents_changed", sa.BigInteger, nullable=False, comment="Counts news about documents."),
    sa.Column(
        "changes_from", sa.BigInteger, nullable=False, comment="Changes of entries before this are kept no more."
    ),
)
log = sa.Table(
    "log",
    metadata,
    sa.Column("log_index", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("agency", AGENCY, nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("digest", DIGEST, nullable=False),
    sa.Column("batch", sa.LargeBinary, nullable=False, comment="The signed envelope as sent."),
    sa.Column("receipt", sa.LargeBinary, nullable=False, comment="The signed envelope as answered."),
    sa.UniqueConstraint("agency", "seq"),
)
tree = sa.Table(
    "tree",
    metadata,
    sa.Column("level", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("hash", DIGEST, nullable=False, comment="Of a complete subtree of 256**level entries of the log."),
)
checkpoints = sa.Table(
    "checkpoints",
    metadata,
    sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("made_at", sa.BigInteger, nullable=False),
    sa.Column("note", sa.LargeBinary, nullable=False, comment="As the hub signed it."),
)
cosignatures = sa.Table(
    "cosignatures",
    metadata,
    sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("agency", AGENCY, primary_key=True),
    sa.Column("key", DIGEST, nullable=False, comment="The public key it is by."),
    sa.Column("seconds", sa.BigInteger, nullable=False),
    sa.Column("signature", sa.LargeBinary(64), nullable=False),
)
contributions = sa.Table(
    "contributions",
    metadata,
    sa.Column("agency", AGENCY, primary_key=True),
    sa.Column("account_id", ID, primary_key=True),
    sa.Column("health", sa.BigInteger, nullable=False, comment="Credits of its awards that stand, as are the next."),
    *whole("economy", "social", "environment"),
    sa.Column("spent", sa.BigInteger, nullable=False, comment="By its holds, less its own refunds."),
    sa.Index("contributions_account", "account_id"),
)
counted = sa.Table(
    "counted",
    metadata,
    sa.Column("one", sa.SmallInteger, primary_key=True, comment="Always 1."),
    sa.Column("log_size", sa.BigInteger, nullable=False, comment="So many entries are in the contributions."),
)
reconciliations = sa.Table(
    "reconciliations",
    metadata,
    sa.Column("number", BigKey, primary_key=True, autoincrement=True),
    sa.Column("agency", AGENCY, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False, comment="The agency's batch up to which was compared."),
    *whole("accounts", "differences"),
    sa.Column("causes", sa.Text, nullable=False, comment="Accounts by likely cause, JSON."),
    sa.Index("reconciliations_agency", "agency", "number"),
)
damages = sa.Table(
    "damages",
    metadata,
    sa.Column("log_index", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("found_at", sa.BigInteger, nullable=False),
    sa.Column("what", sa.String(16), nullable=False, comment="missing, receipt, tree, place or batch."),
)
refusals = sa.Table(
    "refusals",
    metadata,
    sa.Column("agency", AGENCY, primary_key=True),
    sa.Column("digest", DIGEST, primary_key=True),
    sa.Column("refusal", sa.LargeBinary, nullable=False),
)
changes = sa.Table(
    "changes",
    metadata,
    sa.Column("log_index", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("appended_at", sa.BigInteger, nullable=False),
    sa.Column("content", sa.LargeBinary, nullable=False, comment="EntryChanges; entries without any have no row."),
    sa.Index("changes_appended_at", "appended_at"),
)
