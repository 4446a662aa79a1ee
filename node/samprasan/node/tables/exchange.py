"""What the node sent to the hub, and what it heard and checked."""

import sqlalchemy as sa
from samprasan.edge.database import BigKey
from samprasan.node.tables.columns import AGENCY, DIGEST, columns_of, metadata

batches = sa.Table(
    "batches",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("digest", DIGEST, nullable=False),
    sa.Column("envelope", sa.LargeBinary, nullable=False),
    sa.Column("receipt", sa.LargeBinary),
)
hub_entries = sa.Table(
    "hub_entries",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False, comment="In the hub's own chain."),
    sa.Column("log_index", sa.BigInteger, nullable=False, unique=True),
    sa.Column("digest", DIGEST, nullable=False),
    sa.Column("entry", sa.LargeBinary, nullable=False, comment="Batch, receipt, and the documents it activates."),
)
decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("award_id", sa.BigInteger, primary_key=True, autoincrement=False, comment="An award without a deed."),
    sa.Column("keep", sa.Boolean, nullable=False, comment="Else it is to be taken back."),
    sa.Column("maker", sa.String(100), nullable=False),
    sa.Column("checker", sa.String(100), comment="Somebody else, who agreed."),
)
proofs = sa.Table(
    "proofs",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False, comment="The batch whose receipt it is of."),
    sa.Column("size", sa.BigInteger, nullable=False, comment="The checkpoint it leads to."),
    sa.Column("path", sa.LargeBinary, nullable=False, comment="Hashes of 32 bytes, the leaf's sibling first."),
)
checkpoints = sa.Table(
    "checkpoints",
    metadata,
    sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("note", sa.LargeBinary, nullable=False, comment="Signed by the hub; with the cosignatures it had."),
)
heard = sa.Table(
    "heard",
    metadata,
    sa.Column("agency", AGENCY, primary_key=True, comment="Who knows of it."),
    sa.Column("note", sa.LargeBinary, nullable=False, comment="A checkpoint that the hub is still to connect to ours."),
    sa.Column("heard_at", sa.BigInteger, nullable=False, comment="Since when something of this agency waits for that."),
)
evidence = sa.Table(
    "evidence",
    metadata,
    sa.Column("evidence_id", BigKey, primary_key=True, autoincrement=True),
    sa.Column("found_at", sa.BigInteger, nullable=False),
    sa.Column(
        "first", sa.LargeBinary, nullable=False, comment="Signed by the hub, as is the second: one of them lies."
    ),
    sa.Column("second", sa.LargeBinary, nullable=False),
)
refused = sa.Table(
    "refused",
    metadata,
    sa.Column("digest", DIGEST, primary_key=True),
    *columns_of(sa.LargeBinary, "envelope", "refusal"),
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
    sa.Column("envelope", sa.LargeBinary, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Index("documents_versions", "kind", "series", "version"),
)
dissents = sa.Table(
    "dissents",
    metadata,
    sa.Column("digest", DIGEST, primary_key=True, comment="Of a proposal that waits."),
    sa.Column("agency", AGENCY, primary_key=True),
    sa.Column("reason", sa.String(16), nullable=False),
)
ended = sa.Table(
    "ended",
    metadata,
    sa.Column("digest", DIGEST, primary_key=True, comment="Of a proposal that can never take effect any more."),
    sa.Column("ended_at", sa.BigInteger, nullable=False, index=True),
    sa.Column("dissents", sa.LargeBinary, nullable=False, comment="What ended it, as the hub's chain says it."),
)
activations = sa.Table(
    "activations",
    metadata,
    sa.Column("digest", DIGEST, primary_key=True, comment="Of a document that the hub's chain puts into force."),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("log_index", sa.BigInteger, nullable=False),
    sa.Column("appended_at", sa.BigInteger, nullable=False),
    sa.Index("activations_versions", "kind", "version"),
)
notes = sa.Table(
    "notes",
    metadata,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
