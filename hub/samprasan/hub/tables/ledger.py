"""Accounts and what happens to them: all that a fold of the log makes."""

import sqlalchemy as sa
from samprasan.hub.tables.columns import AGENCY, DIGEST, ID, metadata, whole

RESTS = sa.text("closes_on > 0 AND NOT closed")

accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("account_id", ID, primary_key=True),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    *whole("earned_health", "earned_economy", "earned_social", "earned_environment"),
    *whole("written_off", "available", "pending", "held", "spent", "expired"),
    sa.Column("links", sa.SmallInteger, nullable=False),
    sa.Column("closed", sa.Boolean, nullable=False),
    sa.Column("shown_by", sa.SmallInteger, nullable=False, comment="Open links that let integrators see it."),
    sa.Column("lots", sa.Text, nullable=False, comment="Whose credits are available, and what is owed to them, JSON."),
    sa.Column("only_of", AGENCY, nullable=False, comment="The one agency that was ever linked; empty: several were."),
    sa.Column("closes_on", sa.Integer, nullable=False, comment="YYYYMMDD; 0: somebody is linked to it."),
    sa.Column("is_public", sa.Boolean, nullable=False, comment="It was opened by a public id."),
    sa.Index("accounts_closes_on", "closes_on", sqlite_where=RESTS, postgresql_where=RESTS),
)
subjects = sa.Table(
    "subjects",
    metadata,
    sa.Column("subject_key", DIGEST, primary_key=True, comment="The one place where a pseudonym stands; deletable."),
    sa.Column("kind", sa.SmallInteger, primary_key=True, comment="Who says another kind gets another account."),
    sa.Column("key_epoch", sa.Integer, primary_key=True, comment="The linking key that made it; 0: a public id."),
    sa.Column("account_id", ID, nullable=False),
    sa.Index("subjects_account", "account_id"),
)
admissions = sa.Table(
    "admissions",
    metadata,
    sa.Column("agency", AGENCY, primary_key=True, comment="Who was told of the account and has not linked it yet."),
    sa.Column("account_id", ID, primary_key=True),
    sa.Column("secret", ID, nullable=False, comment="What its first Link spends."),
    sa.Column("lapses_at", sa.BigInteger, nullable=False),
    sa.Index("admissions_account", "account_id"),
    sa.Index("admissions_secret", "secret"),
    sa.Index("admissions_lapses", "lapses_at"),
)
admitted = sa.Table(
    "admitted",
    metadata,
    sa.Column("agency", AGENCY, primary_key=True),
    sa.Column("tag", ID, primary_key=True, comment="As the hub's chain says it: of agency, account and secret."),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("key_epoch", sa.Integer, nullable=False),
    sa.Column("lapses_at", sa.BigInteger, nullable=False),
    sa.Column("is_over", sa.Boolean, nullable=False, comment="A Link has spent it, or it was given up."),
)
rekeyed = sa.Table(
    "rekeyed",
    metadata,
    sa.Column("agency", AGENCY, primary_key=True),
    sa.Column("account_id", ID, primary_key=True),
    sa.Column("subject_key", DIGEST, nullable=False, comment="As this agency calls it under the next key."),
    sa.Index("rekeyed_account", "account_id"),
)
rotations = sa.Table(
    "rotations",
    metadata,
    sa.Column("agency", AGENCY, primary_key=True),
    sa.Column("key_epoch", sa.Integer, primary_key=True, comment="The key that was brought in."),
    sa.Column("accounts", sa.BigInteger, nullable=False, comment="How many ids the agency had evaluated for it."),
)
links = sa.Table(
    "links",
    metadata,
    sa.Column("agency", AGENCY, primary_key=True),
    sa.Column("account_id", ID, primary_key=True),
    sa.Column("purposes", sa.SmallInteger, nullable=False, comment="Bit p: purpose p; bit 0 alone, or none: ended."),
    sa.Column("left_on", sa.Integer, nullable=False, comment="YYYYMMDD of its Unlink; 0: it is linked."),
)
holding = sa.Table(
    "holding",
    metadata,
    sa.Column("agency", AGENCY, primary_key=True),
    sa.Column("account_id", ID, primary_key=True),
    sa.Column("open_holds", sa.Integer, nullable=False),
)
holds = sa.Table(
    "holds",
    metadata,
    sa.Column("agency", AGENCY, primary_key=True, comment="Who reserved."),
    sa.Column("hold_id", ID, primary_key=True, comment="op_id of its Reserve."),
    sa.Column("account_id", ID, nullable=False),
    sa.Column("credits", sa.BigInteger, nullable=False),
    sa.Column("owner", AGENCY, nullable=False, comment="Whose benefit."),
    sa.Column("benefit", sa.String(64), nullable=False),
    sa.Column("period", sa.Integer, nullable=False, comment="In which it counts for its subject."),
    sa.Column("deadline", sa.BigInteger, nullable=False),
    sa.Column("state", sa.SmallInteger, nullable=False, comment="HoldState."),
    *whole("posted", "refunded"),
    sa.Column("parts", sa.Text, nullable=False, comment="From which lots they were drawn, JSON."),
    sa.Index("holds_deadline", "state", "deadline"),
    sa.Index("holds_account", "account_id", "state"),
)
offers = sa.Table(
    "offers",
    metadata,
    sa.Column("owner", AGENCY, primary_key=True),
    sa.Column("benefit", sa.String(64), primary_key=True),
    sa.Column("message", sa.LargeBinary, nullable=False, comment="The Benefit as its catalogue states it."),
    sa.Column("withdrawn", sa.Boolean, nullable=False),
    sa.Column("taken", sa.BigInteger, nullable=False, comment="Pieces given or set aside."),
)
uses = sa.Table(
    "uses",
    metadata,
    sa.Column("account_id", ID, primary_key=True),
    sa.Column("owner", AGENCY, primary_key=True),
    sa.Column("benefit", sa.String(64), primary_key=True),
    sa.Column("period", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("count", sa.Integer, nullable=False),
)
operations = sa.Table(
    "operations",
    metadata,
    sa.Column("agency", AGENCY, primary_key=True),
    sa.Column("op_id", ID, primary_key=True),
    *whole("content", "log_index"),
    sa.Column("reason", sa.SmallInteger, nullable=False),
)
corrections = sa.Table(
    "corrections",
    metadata,
    sa.Column("agency", AGENCY, primary_key=True),
    sa.Column("award_op_id", ID, primary_key=True),
    sa.Column("op_id", ID, nullable=False, comment="The update that replaced or reversed the award."),
    sa.Column("is_over", sa.Boolean, nullable=False, comment="No other award may restore it."),
)
leftovers = sa.Table(
    "leftovers",
    metadata,
    sa.Column("agency", AGENCY, primary_key=True),
    sa.Column("op_id", ID, primary_key=True, comment="Of the reversal that had to leave something."),
    sa.Column("award", sa.LargeBinary, nullable=False, comment="The Award that stands instead."),
)
agencies = sa.Table(
    "agencies",
    metadata,
    sa.Column("agency", AGENCY, primary_key=True),
    *whole("earned", "accounts"),
    sa.Column("day", sa.Integer, nullable=False),
    *whole("spendable_on_day", "written_off", "used", "spent", "written_off_on_day", "reserved_on_day"),
    sa.Column("evaluated", sa.BigInteger, nullable=False, comment="Ids that it ever had evaluated."),
    sa.Column("admitted", sa.BigInteger, nullable=False, comment="To accounts that it asked for by pseudonym."),
    sa.Column("alone", sa.BigInteger, nullable=False, comment="Of these, those that no other was ever linked to."),
)
evaluations = sa.Table(
    "evaluations",
    metadata,
    *(sa.Column(name, AGENCY, primary_key=True) for name in ("requester", "evaluator")),
    sa.Column("day", sa.Integer, primary_key=True, autoincrement=False, comment="YYYYMMDD"),
    sa.Column("total", sa.BigInteger, nullable=False, comment="Elements up to the end of that day."),
)
