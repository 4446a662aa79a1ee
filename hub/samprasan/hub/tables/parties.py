"""Who may talk to the hub, what they agreed, and what waits for them."""

import sqlalchemy as sa
from samprasan.edge.database import BigKey
from samprasan.hub.tables.columns import AGENCY, DIGEST, INTEGRATOR, metadata, whole

presence = sa.Table(
    "presence",
    metadata,
    sa.Column("agency", AGENCY, primary_key=True),
    *whole("seen_at", "clock_ahead"),
)
invites = sa.Table(
    "invites",
    metadata,
    sa.Column("secret_hash", DIGEST, primary_key=True),
    sa.Column("agency", AGENCY, nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Column("application", sa.LargeBinary, comment="The signed application that used it up."),
    sa.Column("certificate", sa.LargeBinary, comment="The client certificate it was traded for, DER."),
)
certificates = sa.Table(
    "certificates",
    metadata,
    sa.Column("fingerprint", DIGEST, primary_key=True),
    sa.Column("agency", AGENCY, nullable=False),
    sa.Column("revoked", sa.Boolean, nullable=False),
)
integrators = sa.Table(
    "integrators",
    metadata,
    sa.Column("integrator", INTEGRATOR, primary_key=True),
    sa.Column("handle_epoch", sa.Integer, nullable=False, comment="Another one makes other handles."),
    sa.Column("revoked_at", sa.BigInteger, comment="By the operator; nothing: it may read."),
    sa.Column("day", sa.Integer, nullable=False, comment="YYYYMMDD on which it took the snapshots counted."),
    sa.Column("snapshots", sa.Integer, nullable=False),
)
integrator_certificates = sa.Table(
    "integrator_certificates",
    metadata,
    sa.Column("fingerprint", DIGEST, primary_key=True),
    sa.Column("integrator", INTEGRATOR, nullable=False),
    sa.Column("issued_at", sa.BigInteger, nullable=False),
    sa.Column("revoked", sa.Boolean, nullable=False),
)
subscriptions = sa.Table(
    "subscriptions",
    metadata,
    sa.Column("integrator", INTEGRATOR, primary_key=True),
    sa.Column("subscription", sa.String(32), primary_key=True),
    sa.Column(
        "log_index", sa.BigInteger, nullable=False, comment="The entry to go on with, acknowledged by its reader."
    ),
    sa.Column("skipped", sa.Integer, nullable=False, comment="So many of its changes are dealt with, too."),
    sa.Column("cuts", sa.Integer, nullable=False, comment="Of the log, when the reader acknowledged."),
    sa.Column("handle_epoch", sa.Integer, nullable=False, comment="Of the integrator's, then."),
    sa.Column("scope", sa.LargeBinary(3), nullable=False, comment="Tag of what it might see, then."),
    sa.Column("heard_at", sa.BigInteger, nullable=False),
)
documents = sa.Table(
    "documents",
    metadata,
    sa.Column("digest", DIGEST, primary_key=True),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column(
        "series",
        AGENCY,
        nullable=False,
        comment="Of which these are versions: an agency's, an integrator's; empty: of one.",
    ),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("proposed_at", sa.BigInteger, nullable=False),
    sa.Column("envelope", sa.LargeBinary, nullable=False, comment="With every signature known so far."),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("proposed_by", AGENCY, nullable=False, comment="Whose allowance it takes while it waits."),
    sa.Index("documents_versions", "kind", "series", "version"),
)
dissents = sa.Table(
    "dissents",
    metadata,
    sa.Column("digest", DIGEST, primary_key=True, comment="Of the proposal."),
    sa.Column("agency", AGENCY, primary_key=True),
    sa.Column("envelope", sa.LargeBinary, nullable=False, comment="Signed by the agency."),
)
withdrawn = sa.Table(
    "withdrawn",
    metadata,
    sa.Column("digest", DIGEST, primary_key=True, comment="Of a proposal that can never take effect any more."),
    sa.Column("ended_at", sa.BigInteger, nullable=False),
    sa.Column("proposed_by", AGENCY, nullable=False, comment="Empty if it is not known any more."),
    sa.Column("taken_back", sa.Boolean, nullable=False, comment="By its proposer; else it was declined."),
)
mailbox = sa.Table(
    "mailbox",
    metadata,
    sa.Column("number", BigKey, primary_key=True, autoincrement=True),
    sa.Column("reader", AGENCY, nullable=False),
    sa.Column("sender", AGENCY, nullable=False),
    sa.Column("posted_at", sa.BigInteger, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Index("mailbox_reader", "reader", "number"),
    sqlite_autoincrement=True,
)
