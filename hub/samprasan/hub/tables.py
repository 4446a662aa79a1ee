"""The hub's tables.  No column holds a 13-digit id, a name or a text about a deed."""

import sqlalchemy as sa
from samprasan.edge.database import BigKey

metadata = sa.MetaData()

_ID = sa.LargeBinary(16)
_DIGEST = sa.LargeBinary(32)
_AGENCY = sa.String(16)
_INTEGRATOR = sa.String(16)
_RESTS = sa.text("closes_on > 0 AND NOT closed")


def _whole(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names]


head = sa.Table(
    "head",
    metadata,
    sa.Column("one", sa.SmallInteger, primary_key=True, comment="Always 1: whoever locks the row orders the log."),
    *_whole("log_size", "appended_at"),
    sa.Column("documents_changed", sa.BigInteger, nullable=False, comment="Counts news about documents."),
    sa.Column(
        "changes_from", sa.BigInteger, nullable=False, comment="Changes of entries before this are kept no more."
    ),
)
log = sa.Table(
    "log",
    metadata,
    sa.Column("log_index", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("agency", _AGENCY, nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("digest", _DIGEST, nullable=False),
    sa.Column("batch", sa.LargeBinary, nullable=False, comment="The signed envelope as sent."),
    sa.Column("receipt", sa.LargeBinary, nullable=False, comment="The signed envelope as answered."),
    sa.UniqueConstraint("agency", "seq"),
)
tree = sa.Table(
    "tree",
    metadata,
    sa.Column("level", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("hash", _DIGEST, nullable=False, comment="Of a complete subtree of 256**level entries of the log."),
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
    sa.Column("agency", _AGENCY, primary_key=True),
    sa.Column("key", _DIGEST, nullable=False, comment="The public key it is by."),
    sa.Column("seconds", sa.BigInteger, nullable=False),
    sa.Column("signature", sa.LargeBinary(64), nullable=False),
)
contributions = sa.Table(
    "contributions",
    metadata,
    sa.Column("agency", _AGENCY, primary_key=True),
    sa.Column("account_id", _ID, primary_key=True),
    sa.Column("health", sa.BigInteger, nullable=False, comment="Credits of its awards that stand, as are the next."),
    *_whole("economy", "social", "environment"),
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
    sa.Column("agency", _AGENCY, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False, comment="The agency's batch up to which was compared."),
    *_whole("accounts", "differences"),
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
    sa.Column("agency", _AGENCY, primary_key=True),
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
    sa.Column("agency", _AGENCY, primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("log_index", sa.BigInteger, comment="Where its receipt puts it; nothing: nobody got a receipt."),
    sa.Column("digest", _DIGEST, nullable=False),
    sa.Column("batch", sa.LargeBinary, nullable=False),
    sa.Column("receipt", sa.LargeBinary, nullable=False, comment="Empty: nobody got one."),
    sa.Column("documents", sa.LargeBinary, nullable=False, comment="Those that it puts into force."),
    sa.Index("refed_log_index", "log_index"),
)
refed_accounts = sa.Table(
    "refed_accounts",
    metadata,
    sa.Column("agency", _AGENCY, primary_key=True, comment="Who was told of it."),
    sa.Column("account_id", _ID, primary_key=True),
    sa.Column("subject_key", _DIGEST, nullable=False),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("key_epoch", sa.Integer, nullable=False),
    sa.Column(
        "admission", sa.LargeBinary, nullable=False, comment="The secret that it was given; empty: it was linked."
    ),
    sa.Column("lapses_at", sa.BigInteger, nullable=False),
)
refusals = sa.Table(
    "refusals",
    metadata,
    sa.Column("agency", _AGENCY, primary_key=True),
    sa.Column("digest", _DIGEST, primary_key=True),
    sa.Column("refusal", sa.LargeBinary, nullable=False),
)
accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("account_id", _ID, primary_key=True),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    *_whole("earned_health", "earned_economy", "earned_social", "earned_environment"),
    *_whole("written_off", "available", "pending", "held", "spent", "expired"),
    sa.Column("links", sa.SmallInteger, nullable=False),
    sa.Column("closed", sa.Boolean, nullable=False),
    sa.Column("shown_by", sa.SmallInteger, nullable=False, comment="Open links that let integrators see it."),
    sa.Column("lots", sa.Text, nullable=False, comment="Whose credits are available, and what is owed to them, JSON."),
    sa.Column("only_of", _AGENCY, nullable=False, comment="The one agency that was ever linked; empty: several were."),
    sa.Column("closes_on", sa.Integer, nullable=False, comment="YYYYMMDD; 0: somebody is linked to it."),
    sa.Index("accounts_closes_on", "closes_on", sqlite_where=_RESTS, postgresql_where=_RESTS),
)
subjects = sa.Table(
    "subjects",
    metadata,
    sa.Column("subject_key", _DIGEST, primary_key=True, comment="The one place where a pseudonym stands; deletable."),
    sa.Column("kind", sa.SmallInteger, primary_key=True, comment="Who says another kind gets another account."),
    sa.Column("key_epoch", sa.Integer, primary_key=True, comment="The linking key that made it; 0: a public id."),
    sa.Column("account_id", _ID, nullable=False),
    sa.Index("subjects_account", "account_id"),
)
admissions = sa.Table(
    "admissions",
    metadata,
    sa.Column("agency", _AGENCY, primary_key=True, comment="Who was told of the account and has not linked it yet."),
    sa.Column("account_id", _ID, primary_key=True),
    sa.Column("secret", _ID, nullable=False, comment="What its first Link spends."),
    sa.Column("lapses_at", sa.BigInteger, nullable=False),
    sa.Index("admissions_account", "account_id"),
    sa.Index("admissions_lapses", "lapses_at"),
)
admitted = sa.Table(
    "admitted",
    metadata,
    sa.Column("agency", _AGENCY, primary_key=True),
    sa.Column("tag", _ID, primary_key=True, comment="As the hub's chain says it: of agency, account and secret."),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("key_epoch", sa.Integer, nullable=False),
    sa.Column("lapses_at", sa.BigInteger, nullable=False),
    sa.Column("is_over", sa.Boolean, nullable=False, comment="A Link has spent it, or it was given up."),
)
rekeyed = sa.Table(
    "rekeyed",
    metadata,
    sa.Column("agency", _AGENCY, primary_key=True),
    sa.Column("account_id", _ID, primary_key=True),
    sa.Column("subject_key", _DIGEST, nullable=False, comment="As this agency calls it under the next key."),
    sa.Index("rekeyed_account", "account_id"),
)
rotations = sa.Table(
    "rotations",
    metadata,
    sa.Column("agency", _AGENCY, primary_key=True),
    sa.Column("key_epoch", sa.Integer, primary_key=True, comment="The key that was brought in."),
    sa.Column("accounts", sa.BigInteger, nullable=False, comment="How many ids the agency had evaluated for it."),
)
links = sa.Table(
    "links",
    metadata,
    sa.Column("agency", _AGENCY, primary_key=True),
    sa.Column("account_id", _ID, primary_key=True),
    sa.Column("purposes", sa.SmallInteger, nullable=False, comment="Bit p: purpose p; bit 0 alone, or none: ended."),
)
holding = sa.Table(
    "holding",
    metadata,
    sa.Column("agency", _AGENCY, primary_key=True),
    sa.Column("account_id", _ID, primary_key=True),
    sa.Column("open_holds", sa.Integer, nullable=False),
)
holds = sa.Table(
    "holds",
    metadata,
    sa.Column("agency", _AGENCY, primary_key=True, comment="Who reserved."),
    sa.Column("hold_id", _ID, primary_key=True, comment="op_id of its Reserve."),
    sa.Column("account_id", _ID, nullable=False),
    sa.Column("credits", sa.BigInteger, nullable=False),
    sa.Column("owner", _AGENCY, nullable=False, comment="Whose benefit."),
    sa.Column("benefit", sa.String(64), nullable=False),
    sa.Column("period", sa.Integer, nullable=False, comment="In which it counts for its subject."),
    sa.Column("deadline", sa.BigInteger, nullable=False),
    sa.Column("state", sa.SmallInteger, nullable=False, comment="HoldState."),
    *_whole("posted", "refunded"),
    sa.Column("parts", sa.Text, nullable=False, comment="From which lots they were drawn, JSON."),
    sa.Index("holds_deadline", "state", "deadline"),
    sa.Index("holds_account", "account_id", "state"),
)
offers = sa.Table(
    "offers",
    metadata,
    sa.Column("owner", _AGENCY, primary_key=True),
    sa.Column("benefit", sa.String(64), primary_key=True),
    sa.Column("message", sa.LargeBinary, nullable=False, comment="The Benefit as its catalogue states it."),
    sa.Column("withdrawn", sa.Boolean, nullable=False),
    sa.Column("taken", sa.BigInteger, nullable=False, comment="Pieces given or set aside."),
)
uses = sa.Table(
    "uses",
    metadata,
    sa.Column("account_id", _ID, primary_key=True),
    sa.Column("owner", _AGENCY, primary_key=True),
    sa.Column("benefit", sa.String(64), primary_key=True),
    sa.Column("period", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("count", sa.Integer, nullable=False),
)
operations = sa.Table(
    "operations",
    metadata,
    sa.Column("agency", _AGENCY, primary_key=True),
    sa.Column("op_id", _ID, primary_key=True),
    *_whole("content", "log_index"),
    sa.Column("reason", sa.SmallInteger, nullable=False),
)
corrections = sa.Table(
    "corrections",
    metadata,
    sa.Column("agency", _AGENCY, primary_key=True),
    sa.Column("award_op_id", _ID, primary_key=True),
    sa.Column("op_id", _ID, nullable=False, comment="The update that replaced or reversed the award."),
    sa.Column("is_over", sa.Boolean, nullable=False, comment="No other award may restore it."),
)
leftovers = sa.Table(
    "leftovers",
    metadata,
    sa.Column("agency", _AGENCY, primary_key=True),
    sa.Column("op_id", _ID, primary_key=True, comment="Of the reversal that had to leave something."),
    sa.Column("award", sa.LargeBinary, nullable=False, comment="The Award that stands instead."),
)
agencies = sa.Table(
    "agencies",
    metadata,
    sa.Column("agency", _AGENCY, primary_key=True),
    *_whole("earned", "accounts"),
    sa.Column("day", sa.Integer, nullable=False),
    *_whole("spendable_on_day", "written_off", "used", "spent", "written_off_on_day", "reserved_on_day"),
    sa.Column("evaluated", sa.BigInteger, nullable=False, comment="Ids that it ever had evaluated."),
    sa.Column("admitted", sa.BigInteger, nullable=False, comment="To accounts that it asked for by pseudonym."),
    sa.Column("alone", sa.BigInteger, nullable=False, comment="Of these, those that no other was ever linked to."),
)
evaluations = sa.Table(
    "evaluations",
    metadata,
    *(sa.Column(name, _AGENCY, primary_key=True) for name in ("requester", "evaluator")),
    sa.Column("day", sa.Integer, primary_key=True, autoincrement=False, comment="YYYYMMDD"),
    sa.Column("total", sa.BigInteger, nullable=False, comment="Elements up to the end of that day."),
)
refed_evaluations = sa.Table(
    "refed_evaluations",
    metadata,
    *(sa.Column(name, _AGENCY, primary_key=True) for name in ("requester", "evaluator")),
    sa.Column("total", sa.BigInteger, nullable=False),
    sa.Column("envelope", sa.LargeBinary, nullable=False, comment="As both signed it."),
)
presence = sa.Table(
    "presence",
    metadata,
    sa.Column("agency", _AGENCY, primary_key=True),
    *_whole("seen_at", "clock_ahead"),
)
invites = sa.Table(
    "invites",
    metadata,
    sa.Column("secret_hash", _DIGEST, primary_key=True),
    sa.Column("agency", _AGENCY, nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Column("application", sa.LargeBinary, comment="The signed application that used it up."),
    sa.Column("certificate", sa.LargeBinary, comment="The client certificate it was traded for, DER."),
)
certificates = sa.Table(
    "certificates",
    metadata,
    sa.Column("fingerprint", _DIGEST, primary_key=True),
    sa.Column("agency", _AGENCY, nullable=False),
    sa.Column("revoked", sa.Boolean, nullable=False),
)
changes = sa.Table(
    "changes",
    metadata,
    sa.Column("log_index", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("appended_at", sa.BigInteger, nullable=False),
    sa.Column("content", sa.LargeBinary, nullable=False, comment="EntryChanges; entries without any have no row."),
    sa.Index("changes_appended_at", "appended_at"),
)
integrators = sa.Table(
    "integrators",
    metadata,
    sa.Column("integrator", _INTEGRATOR, primary_key=True),
    sa.Column("handle_epoch", sa.Integer, nullable=False, comment="Another one makes other handles."),
    sa.Column("revoked_at", sa.BigInteger, comment="By the operator; nothing: it may read."),
    sa.Column("day", sa.Integer, nullable=False, comment="YYYYMMDD on which it took the snapshots counted."),
    sa.Column("snapshots", sa.Integer, nullable=False),
)
integrator_certificates = sa.Table(
    "integrator_certificates",
    metadata,
    sa.Column("fingerprint", _DIGEST, primary_key=True),
    sa.Column("integrator", _INTEGRATOR, nullable=False),
    sa.Column("issued_at", sa.BigInteger, nullable=False),
    sa.Column("revoked", sa.Boolean, nullable=False),
)
subscriptions = sa.Table(
    "subscriptions",
    metadata,
    sa.Column("integrator", _INTEGRATOR, primary_key=True),
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
    sa.Column("digest", _DIGEST, primary_key=True),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column(
        "series",
        _AGENCY,
        nullable=False,
        comment="Of which these are versions: an agency's, an integrator's; empty: of one.",
    ),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("proposed_at", sa.BigInteger, nullable=False),
    sa.Column("envelope", sa.LargeBinary, nullable=False, comment="With every signature known so far."),
    sa.Column("active", sa.Boolean, nullable=False),
)
mailbox = sa.Table(
    "mailbox",
    metadata,
    sa.Column("number", BigKey, primary_key=True, autoincrement=True),
    sa.Column("reader", _AGENCY, nullable=False),
    sa.Column("sender", _AGENCY, nullable=False),
    sa.Column("posted_at", sa.BigInteger, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Index("mailbox_reader", "reader", "number"),
    sqlite_autoincrement=True,
)
