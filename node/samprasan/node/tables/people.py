"""People, their deeds and the awards for them."""

import sqlalchemy as sa
from samprasan.edge.database import BigKey
from samprasan.node.tables.columns import DIGEST, ID, columns_of, metadata

RESTS = sa.text("rests_until IS NOT NULL")

subjects = sa.Table(
    "subjects",
    metadata,
    sa.Column("subject_id", BigKey, primary_key=True, autoincrement=True),
    sa.Column("id_index", DIGEST, nullable=False, unique=True),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("scheme", sa.String(8), nullable=False),
    *columns_of(sa.LargeBinary, "sealed_id", "sealed_name"),
    sa.Column("share", sa.Boolean, nullable=False, comment="Consent: credits may leave the node."),
    sa.Column("redeem", sa.Boolean, nullable=False, comment="Consent: the balance may be read and spent here."),
    sa.Column(
        "wanted", sa.Boolean, nullable=False, comment="Somebody asked for a balance before there was an account."
    ),
    sa.Column(
        "sealed_key",
        sa.LargeBinary,
        comment="The subject key (pseudonym) until the account is known; then, the next one until it has moved.",
    ),
    sa.Column("account_id", ID, unique=True),
    sa.Column(
        "linked",
        sa.SmallInteger,
        nullable=False,
        comment="Purposes of the newest Link in a sealed batch, as bits; 1: an Unlink is on its way.",
    ),
    sa.Column("link_settled", sa.SmallInteger, nullable=False, comment="The same, once its receipt is here."),
    sa.Column("totals", sa.LargeBinary, comment="The hub's newest signed Totals."),
    sa.Column("integrators", sa.Boolean, nullable=False, comment="Consent: integrators may see changes."),
    sa.Column("publish", sa.Boolean, nullable=False, comment="Consent: may be shown as an exemplar."),
    sa.Column("sealed_opened", sa.LargeBinary, comment="The hub's signed answer that named the account."),
    sa.Column("unlink_at", sa.BigInteger, comment="Nothing is agreed to any more: when the hub is to hear of it."),
    sa.Column(
        "withdrawn",
        sa.SmallInteger,
        nullable=False,
        comment="Consents taken back by the subject, as bits: no import gives them again.",
    ),
    sa.Column("erasing", sa.Boolean, nullable=False, comment="Kept only until the hub has heard of it."),
    sa.Column("due", sa.Boolean, nullable=False, comment="The hub may have to hear of a consent, or of its end."),
    sa.Column("key_epoch", sa.Integer, nullable=False, comment="Of the key that the hub was told; 0: a public id."),
    sa.Column("rekey_at", sa.BigInteger, nullable=False, comment="Not to tell the hub of the next key before."),
    sa.Column("admission", ID, comment="The secret that the first Link spends, until the hub has taken it."),
    sa.Column("rests_until", sa.BigInteger, comment="It was left: until then a Link finds everything as it was."),
    sa.Column("left_account", ID, comment="What was awarded stands there, or is over with it."),
    sa.Index("subjects_due", "due", "account_id"),
    sa.Index("subjects_unlinked", "account_id", "share"),
    sa.Index("subjects_rest", "rests_until", sqlite_where=RESTS, postgresql_where=RESTS),
)
deeds = sa.Table(
    "deeds",
    metadata,
    sa.Column("deed_id", BigKey, primary_key=True, autoincrement=True),
    sa.Column("source", sa.String(100), nullable=False),
    sa.Column("record_id", sa.String(200), nullable=False),
    sa.Column("fingerprint", DIGEST, nullable=False, comment="Keyed hash of what the record says."),
    sa.Column("import_id", sa.BigInteger, nullable=False),
    sa.Column("subject_id", sa.BigInteger, sa.ForeignKey("subjects.subject_id"), nullable=False),
    sa.Column("category", sa.String(64), nullable=False),
    sa.Column("quantity", sa.String(32), nullable=False),
    sa.Column("occurred_on", sa.Integer, nullable=False),
    sa.Column("area_code", sa.String(8), nullable=False),
    sa.Column("status", sa.String(8), nullable=False),
    sa.Column("share", sa.Boolean, nullable=False, comment="The record's own word on sharing."),
    sa.Column("credits", sa.BigInteger, nullable=False),
    sa.Column("dimension", sa.SmallInteger, nullable=False),
    sa.Column("policy_version", sa.Integer, nullable=False),
    sa.Column("gone", sa.Boolean, nullable=False, comment="Its import was undone; the hub is still to hear of it."),
    sa.UniqueConstraint("source", "record_id"),
    sa.Index("deeds_subject", "subject_id"),
    sa.Index("deeds_import", "import_id"),
)
earlier = sa.Table(
    "earlier",
    metadata,
    sa.Column("import_id", sa.BigInteger, primary_key=True, comment="The import that corrected the deed."),
    sa.Column("deed_id", sa.BigInteger, primary_key=True),
    sa.Column("content", sa.Text, nullable=False, comment="What the deed said before, JSON; no id and no name."),
    sa.Column("subject_id", sa.BigInteger, nullable=False, comment="Of whom it said so."),
    sa.Index("earlier_subject", "subject_id"),
)
awards = sa.Table(
    "awards",
    metadata,
    sa.Column("award_id", BigKey, primary_key=True, autoincrement=True),
    sa.Column("deed_id", sa.BigInteger, nullable=False),
    sa.Column("subject_id", sa.BigInteger, nullable=False, comment="Whose account it is about."),
    sa.Column("op_id", ID, nullable=False, comment="Made with the award, before anything is sent."),
    sa.Column("replaces", ID, comment="op_id of the award it takes the place of, or takes back."),
    sa.Column("reverse_reason", sa.SmallInteger, nullable=False, comment="0: an Award; else the Reverse's reason."),
    sa.Column("credits", sa.BigInteger, nullable=False),
    sa.Column("dimension", sa.SmallInteger, nullable=False),
    *columns_of(sa.Integer, "month", "policy_version"),
    sa.Column("state", sa.String(8), nullable=False, comment="queued, waiting, settled, replaced, declined or over."),
    sa.Column("seq", sa.BigInteger, comment="The sealed batch that carries it."),
    sa.Column("reason", sa.SmallInteger, nullable=False, comment="Why the hub declined it."),
    sa.Column("restores", ID, comment="op_id of the award that was taken back and counts again as this one."),
    sa.Column("owed", sa.BigInteger, nullable=False, comment="Of a correction: credits that were spent before it."),
    sa.Index("awards_deed", "deed_id"),
    sa.Index("awards_subject", "subject_id"),
    sa.Index("awards_state", "state", "seq", "award_id"),
    sa.Index("awards_seq", "seq"),
)
imports = sa.Table(
    "imports",
    metadata,
    sa.Column("import_id", BigKey, primary_key=True, autoincrement=True),
    sa.Column("source", sa.String(100), nullable=False),
    sa.Column("file_digest", DIGEST, nullable=False),
    sa.Column("imported_at", sa.BigInteger, nullable=False),
    sa.Column("counts", sa.Text, nullable=False, comment="The report without its rows, JSON."),
    sa.Column("undone_at", sa.BigInteger),
)
restated = sa.Table(
    "restated",
    metadata,
    sa.Column("import_id", sa.BigInteger, primary_key=True, comment="The import that said otherwise."),
    sa.Column("subject_id", sa.BigInteger, primary_key=True),
    sa.Column("sealed_name", sa.LargeBinary, nullable=False, comment="What was known before; as are the rest."),
    *columns_of(sa.Boolean, "share", "redeem", "integrators", "publish"),
)
erased = sa.Table(
    "erased",
    metadata,
    sa.Column("record_hash", DIGEST, primary_key=True, comment="Keyed, of source and record id: not to come back."),
)
