"""Rotation of the linking key: an account is found under two keys while it runs."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_ID = sa.LargeBinary(length=16)
_DIGEST = sa.LargeBinary(length=32)
_AGENCY = sa.String(length=16)


def upgrade() -> None:
    """Pseudonyms of two keys, and what agencies call their accounts under the next one."""
    op.rename_table("subjects", "subjects_before")
    op.create_table(
        "subjects",
        sa.Column("subject_key", _DIGEST, nullable=False, comment="The one place where a pseudonym stands; deletable."),
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("key_epoch", sa.Integer(), nullable=False, comment="The linking key that made it; 0: a public id."),
        sa.PrimaryKeyConstraint("subject_key", name="subjects_key"),
    )
    op.execute(
        "INSERT INTO subjects SELECT subject_key, before.account_id, CASE WHEN kind IN (3, 4) THEN 0 ELSE 1 END"
        " FROM subjects_before AS before JOIN accounts ON accounts.account_id = before.account_id"
    )
    op.drop_table("subjects_before")
    op.create_index("subjects_account", "subjects", ["account_id"])
    op.create_table(
        "rekeyed",
        sa.Column("agency", _AGENCY, nullable=False),
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("subject_key", _DIGEST, nullable=False, comment="As this agency calls it under the next key."),
        sa.PrimaryKeyConstraint("agency", "account_id"),
    )
    op.create_index("rekeyed_account", "rekeyed", ["account_id"])
    op.create_table(
        "rotations",
        sa.Column("agency", _AGENCY, nullable=False),
        sa.Column(
            "key_epoch", sa.Integer(), autoincrement=False, nullable=False, comment="The key that was brought in."
        ),
        sa.Column("accounts", sa.BigInteger(), nullable=False, comment="How many ids the agency had evaluated for it."),
        sa.PrimaryKeyConstraint("agency", "key_epoch"),
    )
