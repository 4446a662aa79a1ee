"""The node's tables.

Columns called ``sealed_…`` are AES-GCM under a key of the keyring; subjects are found by a keyed index of their id.
"""

from typing import Any

import sqlalchemy as sa
from samprasan.edge.database import BigKey

metadata = sa.MetaData()

_ID = sa.LargeBinary(16)
_DIGEST = sa.LargeBinary(32)
_AGENCY = sa.String(16)


def _of(kind: Any, *names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind, nullable=False) for name in names]


_RESTS = sa.text("rests_until IS NOT NULL")

subjects = sa.Table(
    "subjects",
    metadata,
    sa.Column("subject_id", BigKey, primary_key=True, autoincrement=True),
    sa.Column("id_index", _DIGEST, nullable=False, unique=True),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("scheme", sa.String(8), nullable=False),
    *_of(sa.LargeBinary, "sealed_id", "sealed_name"),
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
    sa.Column("account_id", _ID, unique=True),
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
    sa.Column("admission", _ID, comment="The secret that the first Link spends, until the hub has taken it."),
    sa.Column("rests_until", sa.BigInteger, comment="It was left: until then a Link finds everything as it was."),
    sa.Column("left_account", _ID, comment="What was awarded stands there, or is over with it."),
    sa.Index("subjects_due", "due", "account_id"),
    sa.Index("subjects_unlinked", "account_id", "share"),
    sa.Index("subjects_rest", "rests_until", sqlite_where=_RESTS, postgresql_where=_RESTS),
)
deeds = sa.Table(
    "deeds",
    metadata,
    sa.Column("deed_id", BigKey, primary_key=True, autoincrement=True),
    sa.Column("source", sa.String(100), nullable=False),
    sa.Column("record_id", sa.String(200), nullable=False),
    sa.Column("fingerprint", _DIGEST, nullable=False, comment="Keyed hash of what the record says."),
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
    sa.Column("op_id", _ID, nullable=False, comment="Made with the award, before anything is sent."),
    sa.Column("replaces", _ID, comment="op_id of the award it takes the place of, or takes back."),
    sa.Column("reverse_reason", sa.SmallInteger, nullable=False, comment="0: an Award; else the Reverse's reason."),
    sa.Column("credits", sa.BigInteger, nullable=False),
    sa.Column("dimension", sa.SmallInteger, nullable=False),
    *_of(sa.Integer, "month", "policy_version"),
    sa.Column("state", sa.String(8), nullable=False, comment="queued, waiting, settled, replaced, declined or over."),
    sa.Column("seq", sa.BigInteger, comment="The sealed batch that carries it."),
    sa.Column("reason", sa.SmallInteger, nullable=False, comment="Why the hub declined it."),
    sa.Column("restores", _ID, comment="op_id of the award that was taken back and counts again as this one."),
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
    sa.Column("file_digest", _DIGEST, nullable=False),
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
    *_of(sa.Boolean, "share", "redeem", "integrators", "publish"),
)
batches = sa.Table(
    "batches",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("digest", _DIGEST, nullable=False),
    sa.Column("envelope", sa.LargeBinary, nullable=False),
    sa.Column("receipt", sa.LargeBinary),
)
hub_entries = sa.Table(
    "hub_entries",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False, comment="In the hub's own chain."),
    sa.Column("log_index", sa.BigInteger, nullable=False, unique=True),
    sa.Column("digest", _DIGEST, nullable=False),
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
    sa.Column("agency", _AGENCY, primary_key=True, comment="Who knows of it."),
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
    sa.Column("digest", _DIGEST, primary_key=True),
    *_of(sa.LargeBinary, "envelope", "refusal"),
)
erased = sa.Table(
    "erased",
    metadata,
    sa.Column("record_hash", _DIGEST, primary_key=True, comment="Keyed, of source and record id: not to come back."),
)
questions = sa.Table(
    "questions",
    metadata,
    sa.Column("request_id", _ID, primary_key=True),
    sa.Column("asked_at", sa.BigInteger, nullable=False),
    sa.Column("evaluator", _AGENCY, nullable=False),
    sa.Column("purpose", sa.SmallInteger, nullable=False),
    sa.Column("elements", sa.Integer, nullable=False),
    sa.Column("digest", _DIGEST, nullable=False),
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
    sa.Column("requester", _AGENCY, primary_key=True),
    sa.Column("request_id", _ID, primary_key=True),
    sa.Column("digest", _DIGEST, nullable=False),
    sa.Column("purpose", sa.SmallInteger, nullable=False),
    *_of(sa.Integer, "elements", "day"),
    sa.Column("answer", sa.LargeBinary, nullable=False, comment="Empty until made, and once the request expired."),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Column("granted", sa.Integer, nullable=False, comment="Of the elements, those charged to a grant."),
    sa.Column("grant_version", sa.Integer, nullable=False, comment="That grant; 0: none."),
    sa.Index("evaluations_expiry", "expires_at"),
)
evaluation_totals = sa.Table(
    "evaluation_totals",
    metadata,
    sa.Column("requester", _AGENCY, primary_key=True),
    sa.Column("evaluator", _AGENCY, primary_key=True),
    sa.Column("elements", sa.BigInteger, nullable=False, comment="Asked for, or evaluated, by this node."),
    sa.Column("acknowledged", sa.LargeBinary, nullable=False, comment="The newest total that both signed, or empty."),
    sa.Column("waiting", sa.Text, nullable=False, comment="Totals not acknowledged to this node, JSON."),
    sa.Column("heard", sa.BigInteger, nullable=False, comment="As the hub's chain says."),
)
linking_counts = sa.Table(
    "linking_counts",
    metadata,
    sa.Column("agency", _AGENCY, primary_key=True),
    sa.Column("day", sa.Integer, primary_key=True, autoincrement=False, comment="YYYYMMDD, of the hub's chain."),
    *_of(sa.BigInteger, "evaluated", "admitted"),
)
shares = sa.Table(
    "shares",
    metadata,
    sa.Column("point", _DIGEST, primary_key=True, comment="The share's commitment, as a roster names it."),
    sa.Column("sealed_share", sa.LargeBinary, nullable=False),
    sa.Column("roster_digest", _DIGEST, nullable=False, comment="The roster whose ceremony made it."),
)
ceremonies = sa.Table(
    "ceremonies",
    metadata,
    sa.Column("roster_digest", _DIGEST, primary_key=True, comment="The roster whose plan says what is made."),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("sealed_line", sa.LargeBinary, comment="What this node drew, if it deals."),
    sa.Column("state", sa.String(12), nullable=False, comment="open, disputed, aborted or confirmed."),
    sa.Column("culprit", _AGENCY, comment="Whose messages broke the rules, or say otherwise."),
    sa.Column("reason", sa.String(16)),
    sa.Column("result", sa.LargeBinary, comment="The next roster, signed: this node's confirmation."),
)
ceremony_messages = sa.Table(
    "ceremony_messages",
    metadata,
    sa.Column("digest", _DIGEST, primary_key=True),
    sa.Column("roster_digest", _DIGEST, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("dealer", _AGENCY, nullable=False),
    sa.Column("holder", _AGENCY, nullable=False, comment="Whom a value is for; empty: a commitment."),
    sa.Column("sealed_envelope", sa.LargeBinary, nullable=False),
    sa.Index("ceremony_messages_of", "roster_digest", "attempt"),
)
ceremony_letters = sa.Table(
    "ceremony_letters",
    metadata,
    sa.Column("letter_id", BigKey, primary_key=True, autoincrement=True),
    sa.Column("roster_digest", _DIGEST, nullable=False),
    sa.Column("reader", _AGENCY, nullable=False),
    sa.Column("sealed_envelope", sa.LargeBinary, nullable=False),
    sa.Column("posted", sa.Boolean, nullable=False),
)
redemptions = sa.Table(
    "redemptions",
    metadata,
    sa.Column("redemption_id", BigKey, primary_key=True, autoincrement=True),
    sa.Column(
        "op_key", _ID, nullable=False, unique=True, comment="Whoever asked named it so: asked again, it is this."
    ),
    sa.Column("subject_id", sa.BigInteger, nullable=False, comment="0 once the subject was erased."),
    sa.Column("hold_id", _ID, nullable=False, unique=True, comment="op_id of the Reserve."),
    sa.Column("owner", _AGENCY, nullable=False, comment="Whose benefit."),
    sa.Column("benefit", sa.String(64), nullable=False),
    sa.Column("benefit_digest", _DIGEST, nullable=False, comment="The terms that the subject was told."),
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
    *_of(sa.BigInteger, "posted", "refunded"),
    sa.Column("is_over", sa.Boolean, nullable=False, comment="Its account is nobody's any more."),
    sa.Index("redemptions_subject", "subject_id", "state"),
    sa.Index("redemptions_state", "state", "deadline"),
)
hold_updates = sa.Table(
    "hold_updates",
    metadata,
    sa.Column("update_id", BigKey, primary_key=True, autoincrement=True),
    sa.Column("op_id", _ID, nullable=False, unique=True, comment="Made with the update, before anything is sent."),
    sa.Column("change", sa.String(8), nullable=False, comment="reserve, post, void or refund."),
    sa.Column("agency", _AGENCY, nullable=False, comment="Whose hold."),
    sa.Column("hold_id", _ID, nullable=False),
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
    sa.Column("id_index", _DIGEST, nullable=False, comment="Of the right id."),
    sa.Column("sealed_id", sa.LargeBinary, comment="The right id; until the move is over, as is the name."),
    sa.Column("sealed_name", sa.LargeBinary),
    sa.Column("credits", sa.BigInteger, nullable=False),
    sa.Column(
        "state", sa.String(8), nullable=False, comment="proposed, waiting (for another agency), done or dropped."
    ),
    sa.Column("document", _DIGEST, comment="Digest of the joint document that it waits for."),
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
    sa.Column("wrong_index", _DIGEST, nullable=False, comment="Of the id that the record states by mistake."),
    sa.Index("moved_wrong", "wrong_index"),
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
    sa.Column("envelope", sa.LargeBinary, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
)
notes = sa.Table(
    "notes",
    metadata,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
