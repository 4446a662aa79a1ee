"""Admissions: an agency's first Link on an account spends one.

The log of an earlier version opened accounts otherwise: a home that has one cannot be brought up.
"""

import sqlalchemy as sa
from alembic import op
from samprasan.keys.errors import Refused

revision = "0012"
down_revision = "0011"

_ADMITTED = "To accounts that it asked for by pseudonym."
_ALONE = "Of these, those that no other was ever linked to."
_ONLY_OF = "The one agency that was ever linked; empty: several were."
_LEFT_ON = "YYYYMMDD of its Unlink; 0: it is linked."
_CLOSES_ON = "YYYYMMDD; 0: somebody is linked to it."


def upgrade() -> None:
    """Tables anew where nothing stands in them, in the order of the tables."""
    if op.get_bind().execute(sa.text("SELECT count(*) FROM accounts")).scalar():
        raise Refused("home_of_earlier_version")
    rests = sa.text("closes_on > 0 AND NOT closed")
    closes_on = sa.Column("closes_on", sa.Integer(), nullable=False, server_default="0", comment=_CLOSES_ON)
    op.add_column(
        "accounts", sa.Column("only_of", sa.String(length=16), nullable=False, server_default="", comment=_ONLY_OF)
    )
    op.add_column("accounts", closes_on)
    op.add_column("links", sa.Column("left_on", sa.Integer(), nullable=False, server_default="0", comment=_LEFT_ON))
    op.create_index("accounts_closes_on", "accounts", ["closes_on"], sqlite_where=rests, postgresql_where=rests)
    _evaluations()
    op.add_column("presence", sa.Column("clock_ahead", sa.BigInteger(), nullable=False, server_default="0"))
    op.drop_table("refed_accounts")
    op.create_table(
        "refed_accounts",
        sa.Column("agency", sa.String(length=16), nullable=False, comment="Who was told of it."),
        sa.Column("account_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("subject_key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("key_epoch", sa.Integer(), nullable=False),
        sa.Column(
            "admission",
            sa.LargeBinary(),
            nullable=False,
            comment="The secret that it was given; empty: it was linked.",
        ),
        sa.Column("lapses_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agency", "account_id"),
    )
    op.drop_table("subjects")
    op.create_table(
        "subjects",
        sa.Column(
            "subject_key",
            sa.LargeBinary(length=32),
            nullable=False,
            comment="The one place where a pseudonym stands; deletable.",
        ),
        sa.Column(
            "kind",
            sa.SmallInteger(),
            autoincrement=False,
            nullable=False,
            comment="Who says another kind gets another account.",
        ),
        sa.Column(
            "key_epoch",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="The linking key that made it; 0: a public id.",
        ),
        sa.Column("account_id", sa.LargeBinary(length=16), nullable=False),
        sa.PrimaryKeyConstraint("subject_key", "kind", "key_epoch"),
    )
    op.create_index("subjects_account", "subjects", ["account_id"])
    op.create_table(
        "admissions",
        sa.Column(
            "agency",
            sa.String(length=16),
            nullable=False,
            comment="Who was told of the account and has not linked it yet.",
        ),
        sa.Column("account_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("secret", sa.LargeBinary(length=16), nullable=False, comment="What its first Link spends."),
        sa.Column("lapses_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agency", "account_id"),
    )
    op.create_index("admissions_account", "admissions", ["account_id"])
    op.create_index("admissions_secret", "admissions", ["secret"])
    op.create_index("admissions_lapses", "admissions", ["lapses_at"])
    op.create_table(
        "admitted",
        sa.Column("agency", sa.String(length=16), nullable=False),
        sa.Column(
            "tag",
            sa.LargeBinary(length=16),
            nullable=False,
            comment="As the hub's chain says it: of agency, account and secret.",
        ),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("key_epoch", sa.Integer(), nullable=False),
        sa.Column("lapses_at", sa.BigInteger(), nullable=False),
        sa.Column("is_over", sa.Boolean(), nullable=False, comment="A Link has spent it, or it was given up."),
        sa.PrimaryKeyConstraint("agency", "tag"),
    )


def _evaluations() -> None:
    """What both agencies signed, instead of what one of them reported."""
    evaluated = sa.Column(
        "evaluated", sa.BigInteger(), nullable=False, server_default="0", comment="Ids that it ever had evaluated."
    )
    admitted = sa.Column("admitted", sa.BigInteger(), nullable=False, server_default="0", comment=_ADMITTED)
    op.add_column("agencies", evaluated)
    op.add_column("agencies", admitted)
    op.add_column("agencies", sa.Column("alone", sa.BigInteger(), nullable=False, server_default="0", comment=_ALONE))
    op.drop_table("evaluated")

    def pair() -> list[sa.Column[str]]:
        return [sa.Column(name, sa.String(length=16), nullable=False) for name in ("requester", "evaluator")]

    op.create_table(
        "evaluations",
        *pair(),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False, comment="YYYYMMDD"),
        sa.Column("total", sa.BigInteger(), nullable=False, comment="Elements up to the end of that day."),
        sa.PrimaryKeyConstraint("requester", "evaluator", "day"),
    )
    op.create_table(
        "refed_evaluations",
        *pair(),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False, comment="As both signed it."),
        sa.PrimaryKeyConstraint("requester", "evaluator"),
    )
